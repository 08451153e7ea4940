#!/usr/bin/env bash
# Every check, the cheapest first; the end-to-end tests run twice, on the embedded broker and on a real Kafka.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source infra/steps.sh
kafka=infra/kafka/kafka.sh
ours="test-$$"
trap '"$kafka" wipe "$ours" >/dev/null 2>&1' EXIT

step "the sources (just check)"
infra/check.sh

# End-to-end tests wait most of their time; tests/harness/turns.rs bounds how many worlds there are at once.
RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) * 2))}
export RUST_TEST_THREADS

# The crash tests run the real binaries, so these are built first, with the same features as the tests.
step "build"
cargo build --workspace --bins --locked
cargo test --workspace --locked --no-run

step "unit tests, and end to end on the embedded broker"
env -u KAFKA_BROKERS cargo test --workspace --locked

step "quality on samples of recorded logs"
infra/quality.sh

# Long campaigns are commands of their own: just fuzz, just chaos, just soak.
step "arbitrary bytes for every pure reader, 5 s each"
infra/fuzz.sh --seconds 5

# `--workspace --test e2e`, not `-p tests`: another set of packages has other features, so cargo would compile again.
if [[ -n ${KAFKA_BROKERS:-} ]]; then
    step "end to end on the Kafka at $KAFKA_BROKERS"
else
    step "end to end on a real Apache Kafka"
    KAFKA_BROKERS=$("$kafka" start "$ours" | sed 's/^KAFKA_BROKERS=//')
    echo "Apache Kafka answers at $KAFKA_BROKERS"
fi
# Outages last the promised 30 s here, and 8 s on the embedded broker above.
THALWEG_LONG_TESTS=1 KAFKA_BROKERS=$KAFKA_BROKERS cargo test --workspace --locked --test e2e

step "60 faults drawn by a seed, on a Kafka and a Redis of their own"
"${CARGO_TARGET_DIR:-target}/debug/chaos" --seed 3 --faults 60

steps_taken
printf '\n%s\n' "every check passed: format, width, licences, advisories (unless said above), lints, documentation, unit tests, end to end on the embedded broker and on a real Kafka, fuzzing, faults"
