"""Checks every link, anchor and include in the documents: python3 infra/links.py

A link must lead to a file of the repository, and its anchor to a heading there. Pages of the book link to pages of the
book only: what lies outside of docs/src is not in the built book. Links to other sites are not followed.
"""

import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "docs" / "src"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "benches").glob("*.md")), *sorted(BOOK.rglob("*.md"))]
# A reference such as [scorer/lib.rs] that nothing defines is plain text to Markdown.
UNDEFINED = re.compile(r"\[[\w./-]+\.(?:rs|sh|toml|json|proto)\]")
INCLUDE = re.compile(r"\{\{#include ([^:}\s]+)")
MARKDOWN = MarkdownIt("commonmark").enable("table")


def slug(heading):
    """The anchor of a heading, as mdBook and the usual forges make it."""
    kept = (c for c in heading.strip().lower() if c.isalnum() or c in "-_ ")
    return "".join(kept).replace(" ", "-")


def text_of(inline):
    return "".join(child.content for child in inline.children or [] if child.type in ("text", "code_inline"))


def anchors(tokens):
    """The anchors of a page's headings; a repeated heading gets a number."""
    found = {}
    for opening, inline in zip(tokens, tokens[1:]):
        if opening.type == "heading_open":
            name = slug(text_of(inline))
            times = found.get(name, 0)
            found[name] = times + 1
            if times:
                found[f"{name}-{times}"] = 1
    return set(found)


def links(tokens):
    for token in tokens:
        for child in token.children or []:
            if child.type == "link_open":
                yield child.attrGet("href")
            elif child.type == "image":
                yield child.attrGet("src")


def problems(page, tokens, parsed):
    for href in links(tokens):
        parts = urlsplit(href)
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not target.is_relative_to(ROOT):
            yield f"{href} leads out of the repository"
        elif not target.exists():
            yield f"{href}: there is no such file"
        elif page.is_relative_to(BOOK) and not target.is_relative_to(BOOK):
            yield f"{href} leads out of the book: name the file instead"
        elif parts.fragment and target in parsed and unquote(parts.fragment) not in anchors(parsed[target]):
            yield f"{href}: there is no such heading"
    for token in tokens:
        if token.type == "inline":
            yield from (f"{name} is not defined" for name in UNDEFINED.findall(text_of(token)))
    for path in INCLUDE.findall(page.read_text()) if page.is_relative_to(BOOK) else ():
        if not (page.parent / path).is_file():
            yield f"{path}, which is included: there is no such file"


def main():
    parsed = {page: MARKDOWN.parse(page.read_text()) for page in PAGES}
    found = [
        f"{page.relative_to(ROOT)}: {problem}"
        for page, tokens in parsed.items()
        for problem in problems(page, tokens, parsed)
    ]
    listed = {(BOOK / href).resolve() for href in links(parsed[BOOK / "SUMMARY.md"])}
    unlisted = set(BOOK.rglob("*.md")) - listed - {BOOK / "SUMMARY.md"}
    found += [f"{page.relative_to(ROOT)} is not in SUMMARY.md" for page in sorted(unlisted)]
    if found:
        sys.exit("\n".join(found))
    print(f"{len(PAGES)} documents, and every link leads somewhere")


main()
