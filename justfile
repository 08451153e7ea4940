# Everything there is to run, as short words; `just --list` shows them. `sh infra/bootstrap.sh tools` installs what they need.

set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments
set quiet

export PATH := justfile_directory() / ".thalweg/bin:" + env("PATH") + ":" + env("HOME", "/root") / ".cargo/bin"

binaries := env("CARGO_TARGET_DIR", justfile_directory() / "target") / "debug"

# List what there is to run.
default:
    just --list --unsorted

# Build every binary. (Every package at once, here and in the tests: cargo then compiles Burn and the broker once.)
build:
    cargo build --workspace --bins --locked

# The whole loop on synthetic traffic, or on a recorded log: `just demo --log FILE --columns …`.
[no-exit-message]
demo *ARGS:
    # The command alone: its packages have the features that they have in the whole workspace, so nothing is compiled twice.
    cargo build --locked --package thalweg
    "{{ binaries }}/thalweg" demo "$@"

# Every check: `just check`, unit tests, end-to-end on the embedded broker, end-to-end on a real Apache Kafka.
[no-exit-message]
test:
    infra/test.sh

# Format, lints, licences, documents, and who may depend on what.
[no-exit-message]
check:
    infra/check.sh

# The manual as a book in target/book, and every link in every document.
[no-exit-message]
docs:
    infra/docs.sh

# What is learned, on samples of recorded logs, against floors; benches/README.md has the whole tables.
[no-exit-message]
quality: build
    infra/quality.sh

# Faults drawn by a seed, on a real Kafka and Redis under traffic: `just chaos --seed 7 --minutes 60`.
[no-exit-message]
chaos *ARGS: build
    "{{ binaries }}/chaos" "$@"

# Traffic without faults for an hour, after which no service may hold more memory: `just soak --minutes 120`.
[no-exit-message]
soak *ARGS: build
    "{{ binaries }}/chaos" --calm --minutes 60 "$@"

# Arbitrary bytes for every pure reader: `just fuzz --seconds 3600 payload`; every reader, 60 s each, unless said.
[no-exit-message]
fuzz *ARGS:
    infra/fuzz.sh "$@"

# Figures beside their limits; benches/README.md says how to read them.
[no-exit-message]
bench *ARGS: build
    "{{ binaries }}/bench" "$@"

# Make benches/README.md from the results kept in benches/figures: `just bench log --json benches/figures/log.json`, then this.
[no-exit-message]
figures *ARGS:
    python3 benches/figures.py "$@"

# Start a real Kafka and Redis and make the topics: natively, or with every service by `just up compose`.
[no-exit-message]
up HOW="native":
    infra/up.sh up "$1"

# Stop what `just up` started; topics stay (`infra/kafka/kafka.sh wipe` removes them).
down:
    infra/up.sh down

# Run one service (ingest, trainer, scorer) or the command (thalweg …) on what `just up` started.
[no-exit-message]
run SERVICE *ARGS: build
    infra/up.sh run "{{ binaries }}/$1" "${@:2}"
