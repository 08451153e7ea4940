#!/usr/bin/env bash
# Implements `just up`, `just down` and `just run`: servers for development, native or by compose.
set -euo pipefail

# shellcheck source=infra/servers.sh
source "$(dirname "${BASH_SOURCE[0]}")/servers.sh"
cd "$root"
kafka=infra/kafka/kafka.sh
redis=infra/redis/redis.sh
composed="$state_root/compose"

compose() { docker compose -f infra/compose.yaml "$@"; }

# Points the services at the caller's servers, or at those that `up` started.
point() {
    [[ -n ${KAFKA_BROKERS:-} ]] || eval "$("$kafka" status up || true)"
    [[ -n ${REDIS_URL:-} ]] || eval "$("$redis" status up || true)"
    if [[ -z ${KAFKA_BROKERS:-} || -z ${REDIS_URL:-} ]]; then
        fail "Kafka or Redis is not running: start both with 'just up', or set KAFKA_BROKERS and REDIS_URL to your servers."
    fi
    export KAFKA_BROKERS REDIS_URL
    export THALWEG__KAFKA__BROKERS="$KAFKA_BROKERS" THALWEG__REDIS__URL="$REDIS_URL"
}

up_native() {
    [[ -n ${KAFKA_BROKERS:-} ]] || "$kafka" start up >/dev/null
    [[ -n ${REDIS_URL:-} ]] || "$redis" start up >/dev/null
    point
    cargo build --workspace --bins --locked
    "${CARGO_TARGET_DIR:-target}/debug/thalweg" topics apply
    printf '\nKAFKA_BROKERS=%s\nREDIS_URL=%s\n' "$KAFKA_BROKERS" "$REDIS_URL"
    say "next: 'just run ingest', 'just run trainer' and 'just run scorer', each in a terminal of its own; 'just down' stops the servers."
}

up_compose() {
    docker info >/dev/null 2>&1 || fail "no Docker engine answers: start it, or use 'just up' without 'compose'."
    docker compose version >/dev/null 2>&1 || fail "Docker has no compose: install 'docker-compose-plugin', or use 'just up' without 'compose'."
    mkdir -p "$state_root"
    touch "$composed"
    compose up --build --detach --wait ||
        fail "compose could not start everything: 'docker compose -f infra/compose.yaml logs' says why; 'just down' removes it."
    say "everything runs: Kafka is at 127.0.0.1:9092, Redis at 127.0.0.1:6379, Grafana at 127.0.0.1:3000; 'just down' stops it."
}

case "${1:-} ${2:-}" in
"up native") up_native ;;
"up compose") up_compose ;;
"down "*)
    "$kafka" stop up
    "$redis" stop up
    if [[ -f $composed ]]; then
        compose down || fail "compose could not stop what it started: see the lines above, then run 'just down' again."
        rm -f "$composed"
    fi
    ;;
"run "*)
    [[ -x ${2:-} ]] || fail "there is no '$(basename "${2:-}")' to run: choose ingest, trainer, scorer or thalweg."
    point
    shift
    exec "$@"
    ;;
*) fail "usage: infra/up.sh up native|compose, down, run BINARY …" ;;
esac
