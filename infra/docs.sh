#!/usr/bin/env bash
# Builds the manual as a book in target/book, and checks every link in every document.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
python=.thalweg/venv/bin/python
if ! command -v mdbook >/dev/null || ! "$python" -c 'import markdown_it' 2>/dev/null; then
    fail "mdbook or its link checker is missing: run 'sh infra/bootstrap.sh tools'."
fi

mdbook build docs || fail "the book cannot be built: fix the problems above."
"$python" infra/links.py || fail "some links are broken: fix the links above."
