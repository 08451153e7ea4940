#!/usr/bin/env bash
# Gives arbitrary bytes to every pure reader: infra/fuzz.sh [--seconds N] [TARGET…]. Each target runs for N seconds (60
# by default); without a TARGET, all of them run. Input that breaks a target stays in target/fuzz/TARGET/, and its name
# is printed; the corpus stays next to it for the next run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
mapfile -t all < <(sed -n 's/^name = "fuzz_\(.*\)"$/\1/p' tests/fuzz/Cargo.toml)
seconds=60
targets=()
while (($#)); do
    case $1 in
    --seconds)
        seconds=${2-}
        [[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "--seconds needs a whole number of seconds, such as --seconds 3600."
        shift
        ;;
    -*) fail "$1 is unknown: infra/fuzz.sh [--seconds N] [TARGET…]; targets are ${all[*]}." ;;
    *)
        [[ " ${all[*]} " == *" $1 "* ]] || fail "there is no target $1; targets are ${all[*]}."
        targets+=("$1")
        ;;
    esac
    shift
done
((${#targets[@]})) || targets=("${all[@]}")

built=${CARGO_TARGET_DIR:-target}/debug
# Only our own crates are instrumented, so that their dependencies stay as the tests have built them.
cargo build --workspace --locked --bin fuzz-seeds
RUSTC_WORKSPACE_WRAPPER=$root/infra/instrument.sh \
    cargo build --workspace --locked --features fuzz/libfuzzer "${targets[@]/#/--bin=fuzz_}"

kept=${CARGO_TARGET_DIR:-target}/fuzz
seeds=$(mktemp -d)
trap 'rm -rf "$seeds"' EXIT
"$built/fuzz-seeds" "$seeds"
# search TARGET: says what was found in it; leaves the file `broken` where something was.
search() {
    local target=$1 runs found="nothing found"
    mkdir -p "$kept/$target/corpus"
    rm -f "$kept/$target/broken"
    if ! "$built/fuzz_$target" -max_total_time="$seconds" -timeout=20 -print_final_stats=1 -verbosity=0 -close_fd_mask=1 \
        -artifact_prefix="$kept/$target/" "$kept/$target/corpus" "$seeds/$target" >"$kept/$target/log" 2>&1; then
        tail -n 40 "$kept/$target/log"
        touch "$kept/$target/broken"
        found="BROKEN: see $kept/$target"
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$kept/$target/log")
    printf '%-12s %s runs in %d s, %s\n' "$target" "${runs:-?}" "$seconds" "$found"
}
# One on each core: a target has one thread.
cores=$(nproc)
for target in "${targets[@]}"; do
    while (($(jobs -rp | wc -l) >= cores)); do wait -n || true; done
    search "$target" &
done
wait
broken=()
for target in "${targets[@]}"; do
    [[ ! -e $kept/$target/broken ]] || broken+=("$target")
done
((${#broken[@]} == 0)) || fail "run a target again on the input that broke it: $built/fuzz_${broken[0]} $kept/${broken[0]}/crash-…"
