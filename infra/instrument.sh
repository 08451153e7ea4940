#!/usr/bin/env bash
# What infra/fuzz.sh has cargo call instead of rustc for our crates: coverage that libFuzzer follows, as `cargo fuzz` would ask for.
set -euo pipefail
[[ " $* " == *" --crate-name build_script_build "* ]] && exec "$@"
exec "$@" --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
