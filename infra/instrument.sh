#!/usr/bin/env bash
# Cargo calls this instead of rustc for our crates when infra/fuzz.sh builds: it adds the coverage that libFuzzer needs,
# like `cargo fuzz`.
set -euo pipefail
[[ " $* " == *" --crate-name build_script_build "* ]] && exec "$@"
exec "$@" --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
