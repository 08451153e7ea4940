#!/usr/bin/env bash
# Runs one real Apache Kafka node: from its jars, or from the official image if Java is missing and Docker answers.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=infra/servers.sh
source "$here/../servers.sh"

usage() {
    cat >&2 <<'TEXT'
usage: infra/kafka/kafka.sh start|stop|status|wipe|fetch [NAME]

  start   starts the node, waits until it answers, and prints KAFKA_BROKERS=127.0.0.1:PORT
  stop    stops the node and keeps its topics
  status  prints KAFKA_BROKERS=… and exits with 0 if the node runs; otherwise exits with 1
  wipe    stops the node and removes its topics
  fetch   fetches the jars and starts nothing

NAME tells several nodes apart (default: up). KAFKA_PORT asks for a port (default: 9092, or a free one).
KAFKA_HEAP sets the heap (default: 512m). Lines in KAFKA_SETTINGS are added to the node's server.properties.

To start a cluster of three, start the first node with KAFKA_COPIES=3, which replicates every record three times. Then
start two more, each with a NAME of its own, with KAFKA_JOINS=FIRST and KAFKA_NODE=2 or 3 (only the first node is a
controller).

example: eval "$(infra/kafka/kafka.sh start)" && echo "$KAFKA_BROKERS"
TEXT
    exit 2
}

command=${1:-}
name=${2:-up}
[[ $name =~ ^[a-z0-9-]+$ ]] || fail "the name '$name' may only hold a-z, 0-9 and '-'."
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/pom.xml")
libs="$root/.thalweg/kafka/$version"
state="$state_root/kafka-$name"
settings="$state/server.properties"
pidfile="$state/pid"
container="thalweg-kafka-$name"
# Sixteen bytes in base64, as Kafka wants them; the same for every node, so that a folder can be started again.
cluster=dGhhbHdlZy1kZW1vLTAwMQ

java_answers() {
    local major
    major=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -1)
    [[ ${major:-0} -ge 17 ]]
}
# JAVA_HOME first, unless it is too old and the PATH has a newer one.
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
java_answers || java=java

docker_answers() { docker info >/dev/null 2>&1; }
in_docker() { [[ -f $state/container ]]; }

# The jars are complete only once the folder has its final name.
fetch() {
    [[ -d $libs ]] && return
    command -v mvn >/dev/null || fail "Maven is missing: run 'sh infra/bootstrap.sh tools' or install the package 'maven'."
    say "fetching Apache Kafka $version …"
    mkdir -p "$(dirname "$libs")"
    local part log="$root/.thalweg/kafka/fetch.log"
    part=$(mktemp -d "$libs.XXXXXX")
    if ! mvn -B -q -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$part" >"$log" 2>&1 </dev/null; then
        rm -rf "$part"
        fail "Maven could not fetch Apache Kafka $version (see $log): check the network and Maven's mirror settings, then run this again."
    fi
    mv -T "$part" "$libs" 2>/dev/null || rm -rf "$part"
}

alive() {
    if in_docker; then
        [[ $(docker inspect -f '{{.State.Running}}' "$container" 2>/dev/null) == true ]]
    else
        running "$pidfile" "$settings" >/dev/null
    fi
}
ended() { if in_docker; then [[ -z $(docker ps -q --filter "name=^$container\$") ]]; else gone "$pidfile"; fi; }
port() { sed -n 's/^advertised.listeners=.*:\([0-9]*\)$/\1/p' "$settings" 2>/dev/null; }
# `grep -c`, because `grep -q` closes the pipe at its first match: with a long log that ends the writer, and with
# pipefail a node that answers would look like one that does not.
log_has_started() {
    local lines
    lines=$(if in_docker; then docker logs "$container" 2>&1; else cat "$state/server.log"; fi |
        grep -c 'Kafka Server started') || return 1
    ((lines > 0))
}
answers() { alive && log_has_started && listening "$(port)"; }

# render PORT CONTROLLER_PORT LOG_DIRS
render() {
    local copies=${KAFKA_COPIES:-1} roles=broker listeners="PLAINTEXT://127.0.0.1:$1"
    [[ -n ${KAFKA_JOINS:-} ]] || { roles+=,controller && listeners+=",CONTROLLER://127.0.0.1:$2"; }
    sed -e "s/@ROLES@/$roles/" -e "s/@NODE@/${KAFKA_NODE:-1}/" -e "s#@LISTENERS@#$listeners#" \
        -e "s/@COPIES@/$copies/" -e "s/@IN_SYNC@/$((copies > 1 ? copies - 1 : 1))/" \
        -e "s/@PORT@/$1/g" -e "s/@CONTROLLER_PORT@/$2/g" -e "s:@LOG_DIRS@:$3:g" \
        "$here/server.properties" >"$settings"
    printf '%s\n' "${KAFKA_SETTINGS:-}" >>"$settings"
}
controller_of() { sed -n 's/^controller.quorum.voters=.*:\([0-9]*\)$/\1/p' "$state_root/kafka-$1/server.properties" 2>/dev/null || true; }

start_java() {
    fetch
    render "$1" "$2" "$state/data"
    local classpath="$libs/*"
    # Formatting an existing folder with the same cluster id is harmless and keeps its topics.
    "$java" -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$classpath" kafka.tools.StorageTool \
        format --ignore-formatted --cluster-id "$cluster" --config "$settings" >"$state/format.log" 2>&1 ||
        fail "Kafka could not prepare its folder (see $state/format.log): free some disk space, or 'infra/kafka/kafka.sh wipe $name' and start again."
    # One JIT compiler only: the second one takes half of two cores for the first minutes, as long as a demo or a test
    # runs.
    nohup "$java" -Xms128m "-Xmx${KAFKA_HEAP:-512m}" -XX:TieredStopAtLevel=1 \
        -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 \
        -XX:+ExplicitGCInvokesConcurrent -XX:+PerfDisableSharedMem -Djava.awt.headless=true \
        "-Dlog4j2.configurationFile=$here/log4j2.properties" \
        -cp "$classpath" kafka.Kafka "$settings" >"$state/server.log" 2>&1 </dev/null &
    echo $! >"$pidfile"
}

start_docker() {
    render "$1" "$2" /tmp/kraft-combined-logs
    docker rm -f "$container" >/dev/null 2>&1 || true
    say "starting the image apache/kafka:$version (Java 17 is not installed here) …"
    docker run -d --name "$container" --network host -e "CLUSTER_ID=$cluster" \
        -e "KAFKA_HEAP_OPTS=-Xmx${KAFKA_HEAP:-512m}" -v "$settings:/mnt/shared/config/server.properties:ro" \
        "apache/kafka:$version" >"$state/server.log" 2>&1 ||
        fail "Docker could not run apache/kafka:$version (see $state/server.log): let it reach its registry, or install Java 17 and Maven."
    touch "$state/container"
}

start() {
    if alive; then
        wait_until_it_answers
        return
    fi
    local broker controller
    broker=$(pick_port "${KAFKA_PORT:-}" 9092 KAFKA_PORT)
    if [[ -n ${KAFKA_JOINS:-} ]]; then
        controller=$(controller_of "$KAFKA_JOINS")
        [[ -n $controller ]] || fail "KAFKA_JOINS names '$KAFKA_JOINS', which was not started: 'infra/kafka/kafka.sh start $KAFKA_JOINS' first."
    else
        # The previous port, because others joined the controller there.
        local former
        former=$(controller_of "$name")
        controller=$(pick_port "" "${former:-$((broker + 1))}" KAFKA_PORT)
        [[ $controller != "$broker" ]] || controller=$(pick_port "" "$((broker + 1))" KAFKA_PORT)
    fi
    mkdir -p "$state"
    rm -f "$state/container"
    if java_answers; then
        start_java "$broker" "$controller"
    elif docker_answers; then
        start_docker "$broker" "$controller"
    else
        fail "neither Java 17 nor a Docker engine is here: run 'sh infra/bootstrap.sh tools', or set KAFKA_BROKERS to a Kafka that runs."
    fi
    wait_until_it_answers
}

wait_until_it_answers() {
    for _ in {1..600}; do
        answers && return
        ! ended || fail "Kafka stopped while starting: the last lines of $state/server.log say why."
        sleep 0.2
    done
    stop
    fail "Kafka did not answer within two minutes: see $state/server.log, and whether this machine has 1 GB of memory to spare."
}

stop() {
    if in_docker; then
        docker stop -t 20 "$container" >/dev/null 2>&1 || true
    else
        end "$pidfile" "$settings" 20
    fi
}

wipe() {
    stop
    ! in_docker || docker rm -f "$container" >/dev/null 2>&1 || true
    rm -rf "$state"
}

case $command in
start)
    # Not `start && echo`: inside a condition a failing line would not end the script.
    start
    echo "KAFKA_BROKERS=127.0.0.1:$(port)"
    ;;
status)
    answers || exit 1
    echo "KAFKA_BROKERS=127.0.0.1:$(port)"
    ;;
stop | wipe | fetch) "$command" ;;
*) usage ;;
esac
