"""Makes benches/README.md and its plot from benches/figures.md and the results kept in benches/figures/*.json.

A result is of one of three shapes. A bench report is what `just bench NAME --json benches/figures/NAME.json` writes.
A table has columns and rows. Evaluations hold what `thalweg evaluate --json` wrote, one object for each seed, and
evaluate.py takes them again. Every result has a machine and a date; tables and evaluations have a title and a command.

In figures.md `{{NAME}}` stands for a result, `{{NAME by /SEPARATOR/ of /CHOICE/}}` for a bench report whose figures
are chosen by a pattern and laid out as rows and columns, and `{{WORD: NAME NAME}}` for a table of evaluations.
"""

import argparse
import collections
import datetime
import json
import re
import sys
import textwrap
from pathlib import Path

from bars import bars

HERE = Path(__file__).resolve().parent
KEPT = HERE / "figures"
NOTE = "<!-- Made by `just figures` from figures.md and figures/*.json: change those, not this page. -->\n"
METHODS = {"thalweg": "Thalweg", "itemknn": "item neighbours (cosine, decayed)", "vsknn": "session neighbours (V-SkNN)",
           "vmisknn": "session neighbours (VMIS-kNN)", "gru": "network alone (GRU)",
           "covisitation": "co-visitation, decayed", "isgd": "matrix factorisation (ISGD)",
           "popularity": "popularity, sliding window"}


def read(name):
    path = KEPT / f"{name}.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {path} cannot be read ({error}): measure it again, or take {name} out of figures.md.")
    if "began_at" in kept:  # a bench report as it was written
        names = " ".join(dict.fromkeys(figure["benchmark"] for figure in kept["figures"]))
        date = datetime.datetime.fromtimestamp(kept["began_at"] / 1000, datetime.timezone.utc).strftime("%F")
        kept |= {"title": f"bench {names}", "command": f"just bench {names}", "date": date}
    for key in ("title", "command", "machine", "date"):
        if not kept.get(key):
            sys.exit(f'error: {path} has no "{key}": say what was measured, by which command, on what and when.')
    if kept.get("quick"):
        sys.exit(f"error: {path} is of a smoke test: run `{kept['command']}` without --quick.")
    for n, row in enumerate(kept.get("rows", []), 1):
        if len(row) != len(kept["columns"]):
            sys.exit(f"error: row {n} of {path} has {len(row)} cells for {len(kept['columns'])} columns.")
    return kept


def spell(value, digits=None):
    """A number with its thousands apart: at most three digits that count, or so many behind the point."""
    if isinstance(value, list):
        return " / ".join(spell(each, digits) or "–" for each in value)
    if value is None or isinstance(value, str):
        return value or ""
    if digits is not None:
        return f"{value:,.{digits}f}"
    count = next((n for n, least in enumerate((100, 10, 1)) if abs(value) >= least), 3)
    return f"{round(value, count or None):,}"


def wrapped(text):
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def table(heads, rows):
    return "\n".join("|" + "|".join(f" {cell} " if cell else " " for cell in line) + "|"
                     for line in [heads, ["---"] * len(heads), *rows])


def one(name, separator, choice):
    kept = read(name)
    if "columns" in kept:
        heads = [column["name"] + (f" ({column['unit']})" if column.get("unit") else "") for column in kept["columns"]]
        digits = [column.get("digits") for column in kept["columns"]]
        shown = table(heads, [[spell(*cell) for cell in zip(row, digits)] for row in kept["rows"]])
    elif "figures" in kept:
        shown = report([figure for figure in kept["figures"] if re.search(choice or "", figure["what"])], separator)
    else:
        sys.exit(f"error: {name} has evaluations: name it as {{{{quality: {name}}}}} in figures.md.")
    source = f"`{kept['command']}`; {kept['machine']}; {kept['date']}."
    return "\n\n".join([f"**{kept['title']}**", shown, wrapped(" ".join([source, *kept.get("remarks", [])]))])


def report(figures, separator):
    """What a benchmark measured: a line each, or as rows and columns where `what` says both."""
    def cells(figure):
        limit, ratio = figure.get("beside") or ("", "")
        ratios = [each for each in (ratio if isinstance(ratio, list) else [ratio]) if each != ""]
        ratio = " to ".join(f"{each:.2f}" if each < 2 else spell(round(each, 2)) for each in ratios) + " ×" * bool(ratios)
        span = " to ".join(spell(each) for each in figure.get("range") or [])
        return spell(figure.get("value")), figure["unit"], span, ratio, limit, figure.get("remark", "")

    if not separator:
        rows = [[figure["what"].strip(), *cells(figure)] for figure in figures]
        heads = ["what", "median", "unit", "least to most", "ratio", "beside", "remark"]
        used = [n for n in range(len(heads)) if any(row[n] for row in rows)]
        return table([heads[n] for n in used], [[row[n] for n in used] for row in rows])
    placed, alone = collections.defaultdict(dict), []
    parts = [re.split(separator, figure["what"].strip(), maxsplit=1) for figure in figures]
    columns = collections.Counter(part[1] for part in parts if len(part) == 2)
    for part, figure in zip(parts, figures):
        value, unit, span, ratio, *_ = cells(figure)
        cell = f"{value or span} {unit}" if value or span else ""
        cell += f" ({span})" if value and span else ""
        cell = f"{cell} ({ratio})" if cell and ratio else cell or ratio
        if len(part) == 2 and columns[part[1]] > 1:
            placed[part[0]][part[1]] = cell
        else:
            alone.append(f"{figure['what'].strip()}: {cell}")
    columns = [column for column, uses in columns.items() if uses > 1]
    shown = [[row, *(cell.get(column, "") for column in columns)] for row, cell in placed.items()]
    return table(["", *columns], shown) + ("\n\n" + wrapped("Also: " + "; ".join(alone) + ".") if alone else "")


def figures_of(evaluation, method="thalweg"):
    """HR@20 (Recall@20 of the ADER protocol is the same) and MRR@20, or nothing where the method did not run."""
    measured = evaluation.get("mean") or evaluation["after_20_percent"].get(method)
    return measured and [measured.get("hr_20", measured.get("recall_20")), measured["mrr_20"]]


def quality(logs):
    def row(kept):
        pairs = [figures_of(evaluation) for evaluation in kept["evaluations"]]
        means = [sum(column) / len(pairs) for column in zip(*pairs)]
        spans = [f"{min(column):.2f} to {max(column):.2f}" if len(pairs) > 1 else "" for column in zip(*pairs)]
        seeds = ", ".join(str(evaluation["seed"]) for evaluation in kept["evaluations"])
        return [kept["title"], spell(means, 2), seeds, " / ".join(filter(None, spans)),
                *(kept.get(key, "") for key in ("published", "must", "aim"))]
    return table(["stream", "HR@20 / MRR@20, mean (%)", "seeds", "least to most", "best published", "must", "aim"],
                 [row(kept) for kept in logs])


def baselines(logs):
    def cell(evaluation, method):
        pair, lead = figures_of(evaluation, method), (evaluation["differences"].get(method) or {}).get("hr_20")
        return spell(pair or "–", 2) + (f" ({lead['low']:.2f} to {lead['high']:.2f})" if lead else "")
    rows = [[name, *(cell(kept["evaluations"][0], method) for kept in logs)] for method, name in METHODS.items()]
    return table(["method", *(kept["title"] for kept in logs)], rows)


def plotted(kept):
    pairs = [(name, figures_of(kept["evaluations"][0], method)) for method, name in METHODS.items()]
    return f"{kept['title']}, HR@20 (%)", [(name, pair[0]) for name, pair in pairs if pair]


def online(logs):
    def row(kept):
        evaluation = kept["evaluations"][0]
        leads = [evaluation["differences"]["frozen"][figure] for figure in ("hr_20", "mrr_20")]
        return [kept["title"], spell(figures_of(evaluation, "frozen"), 2),
                *(f"+ {lead['difference']:.2f} ({lead['low']:.2f} to {lead['high']:.2f})" for lead in leads)]
    return table(["stream", "frozen copy, HR@20 / MRR@20 (%)", "lead over it, HR@20", "lead over it, MRR@20"],
                 [row(kept) for kept in logs])


def sources(logs):
    rows = [[kept["title"], f"`{kept['command']}`", kept["machine"], kept["date"]] for kept in logs]
    remarks = [wrapped(f"{kept['title']}: {' '.join(kept['remarks'])}") for kept in logs if kept.get("remarks")]
    return "\n\n".join([table(["stream", "command", "machine", "date"], rows), *remarks])


VIEWS = {"quality": quality, "sources": sources, "baselines": baselines, "online": online}


def shown(show):
    view, names, *result = show.groups()
    return VIEWS[view]([read(name) for name in names.split()]) if view else one(*result)


def made():
    """The page and the plot, by file."""
    template = (HERE / "figures.md").read_text(encoding="utf-8")
    marker = re.compile(r"\{\{(?:(%s): ([\w -]+)|([\w-]+)(?: by /(.+?)/)?(?: of /(.+?)/)?)\}\}" % "|".join(VIEWS))
    page, shows = marker.sub(shown, template), list(marker.finditer(template))
    named = " ".join(show[2] or show[3] for show in shows).split()
    if left := sorted({path.stem for path in KEPT.glob("*.json")} - set(named)):
        sys.exit(f"error: figures.md does not show {', '.join(left)}: add {{{{{left[0]}}}}} to it.")
    if "{{" in page:
        sys.exit(f"error: figures.md has a marker that is not understood: {page[page.index('{{'):].splitlines()[0]}")
    compared = " ".join(show[2] for show in shows if show[1] == "baselines").split()
    return {HERE / "README.md": NOTE + page, KEPT / "baselines.svg": bars([plotted(read(name)) for name in compared])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail where the page is not what the files make")
    given = parser.parse_args()
    for path, text in made().items():
        if not given.check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"error: benches/{path.relative_to(HERE)} is not what its files make: run 'just figures'.")


if __name__ == "__main__":
    main()
