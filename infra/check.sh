#!/usr/bin/env bash
# Everything that judges the sources without running them: format, lints, licences, who may depend on what.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n== %s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
command -v cargo-deny >/dev/null || fail "cargo-deny is missing: run 'sh infra/bootstrap.sh tools'."

step "format"
cargo fmt --all --check || fail "some files are not formatted: run 'cargo fmt --all'."

step "licences, sources, and who may depend on what"
# Not every package that a gate lets through has to use it.
cargo deny --locked check --allow unused-wrapper licenses bans sources ||
    fail "cargo-deny refuses something above: take it out of Cargo.toml, or change deny.toml and say why there."

step "security advisories"
if cargo deny fetch db >/dev/null 2>&1; then
    cargo deny --locked check advisories ||
        fail "an advisory above concerns a crate in Cargo.lock: update that crate, or list it under [advisories] in deny.toml and say why there."
else
    echo "not checked: the advisory database cannot be reached from here; run 'just check' where it can before a release."
fi

step "versions that are written twice"
kafka=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' infra/kafka/pom.xml)
grep -q "image: apache/kafka:$kafka\$" infra/compose.yaml ||
    fail "infra/compose.yaml runs another Kafka than infra/kafka/pom.xml pins ($kafka): make them the same."
echo "Apache Kafka $kafka"

step "documents"
infra/docs.sh

step "lints"
cargo clippy --workspace --all-targets --features fuzz/libfuzzer --locked -- -D warnings || fail "clippy found something: mend what it names above."
