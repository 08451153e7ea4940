#!/usr/bin/env bash
# Checks the sources without running them: format, lints, licences, dependency rules.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source infra/steps.sh
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
command -v cargo-deny >/dev/null || fail "cargo-deny is missing: run 'sh infra/bootstrap.sh tools'."

step "format"
cargo fmt --all --check || fail "some files are not formatted: run 'cargo fmt --all'."

step "width of comments and Markdown"
infra/width.sh

step "licences, sources, and who may depend on what"
# Not every package that a gate lets through has to use it.
cargo deny --locked check --allow unused-wrapper licenses bans sources ||
    fail "cargo-deny refuses something above: remove it from Cargo.toml, or change deny.toml and say why there."

for service in ingest trainer scorer; do
    if cargo tree --locked --edges normal --package "$service" | grep -q 'broker v'; then
        fail "$service would be shipped with the embedded broker: only its tests may have it, under [dev-dependencies]."
    fi
done

step "security advisories"
if cargo deny fetch db >/dev/null 2>&1; then
    cargo deny --locked check advisories ||
        fail "an advisory above concerns a crate in Cargo.lock: update that crate, or list it under [advisories] in deny.toml and say why there."
else
    echo "not checked: the advisory database cannot be reached from here; run 'just check' with network access before a release."
fi

step "versions that are written twice"
kafka=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' infra/kafka/pom.xml)
grep -q "image: apache/kafka:$kafka\$" infra/compose.yaml ||
    fail "infra/compose.yaml and infra/kafka/pom.xml ($kafka) have different versions of Kafka: make them the same."
echo "Apache Kafka $kafka"

step "figures"
python3 benches/figures.py --check || fail "benches/README.md does not match benches/figures: do what the line above says."

step "documents"
infra/docs.sh

step "lints"
cargo clippy --workspace --all-targets --features fuzz/libfuzzer --locked -- -D warnings || fail "clippy found something: fix the problems above."

step "documentation"
# Links in comments break when code moves; private items have links, too.
RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --document-private-items --locked --quiet ||
    fail "rustdoc found something: fix the links above."
step_ends
