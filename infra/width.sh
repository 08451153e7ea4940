#!/usr/bin/env bash
# Lists lines over 120 characters that rustfmt does not check: comments, and Markdown outside of code, tables and
# links.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8 # characters, not bytes

comments() { git ls-files -z '*.rs' | xargs -0 grep -nHE '^ *//([/!]? *[^ |/!]|$)'; }
# awk finds the code in Markdown; not every awk counts characters, so grep counts them.
prose() { git ls-files -z '*.md' | xargs -0 awk '
    FNR == 1 { code = 0 }
    /^ *```/ { code = !code; next }
    !code && !/^ *\|/ && !/\]\(/ { print FILENAME ":" FNR ":" $0 }'; }

wide=$({ comments; prose; } | grep -vE 'https?://' | grep -E '^[^:]+:[0-9]+:.{121,}$' || true)
[[ -z $wide ]] && exit
cut -c -160 <<<"$wide" >&2
echo "error: $(wc -l <<<"$wide") lines above are longer than 120 characters: break them." >&2
exit 1
