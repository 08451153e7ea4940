#!/usr/bin/env bash
# Runs one real redis-server that keeps nothing on disk: the log is the truth, and Redis is refilled from it (I1).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=infra/servers.sh
source "$here/../servers.sh"

usage() {
    cat >&2 <<'TEXT'
usage: infra/redis/redis.sh start|stop|status [NAME]

  start   starts the server, waits until it answers, and prints REDIS_URL=redis://127.0.0.1:PORT/0
  stop    stops the server; its data is lost
  status  prints REDIS_URL=… and exits with 0 if the server runs; otherwise exits with 1

NAME tells several servers apart (default: up). REDIS_PORT asks for a port (default: 6379, or a free one).

example: eval "$(infra/redis/redis.sh start)" && redis-cli -u "$REDIS_URL" ping
TEXT
    exit 2
}

command=${1:-}
name=${2:-up}
[[ $name =~ ^[a-z0-9-]+$ ]] || fail "the name '$name' may only hold a-z, 0-9 and '-'."
state="$state_root/redis-$name"
pidfile="$state/pid"

alive() { running "$pidfile" redis-server >/dev/null; }
answers() { alive && [[ $(redis-cli -p "$(<"$state/port")" ping 2>/dev/null) == PONG ]]; }

start() {
    alive && return
    command -v redis-server >/dev/null ||
        fail "redis-server is missing: run 'sh infra/bootstrap.sh tools', or set REDIS_URL to a Redis that runs."
    local port
    port=$(pick_port "${REDIS_PORT:-}" 6379 REDIS_PORT)
    mkdir -p "$state"
    echo "$port" >"$state/port"
    nohup redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$state" \
        >"$state/server.log" 2>&1 </dev/null &
    echo $! >"$pidfile"
    for _ in {1..100}; do
        answers && return
        ! gone "$pidfile" || break
        sleep 0.1
    done
    stop
    fail "Redis did not start: see $state/server.log, or set REDIS_PORT to another port."
}

stop() { end "$pidfile" redis-server 10; }

case $command in
start)
    start
    echo "REDIS_URL=redis://127.0.0.1:$(<"$state/port")/0"
    ;;
stop) stop ;;
status)
    answers || exit 1
    echo "REDIS_URL=redis://127.0.0.1:$(<"$state/port")/0"
    ;;
*) usage ;;
esac
