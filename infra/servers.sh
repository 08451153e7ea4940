# Shared by kafka.sh and redis.sh: where a server's state is, which port it gets, whose process it is.
# Sourced, not run. Every server has a NAME, so that servers of the tests are never those of `just up`.
# shellcheck shell=bash disable=SC2034

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
state_root="$root/.thalweg/run"

say() { printf '%s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# listening PORT: a process accepts connections there.
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# pick_port WISH USUAL VARIABLE: WISH if it was given (and must then be free), else USUAL or any free one.
pick_port() {
    local wish=$1 usual=$2 variable=$3 port
    if [[ -n $wish ]]; then
        [[ $wish =~ ^[0-9]+$ && $wish -ge 1 && $wish -le 65535 ]] ||
            fail "$variable is '$wish': set it to a port from 1 to 65535, or leave it unset to get a free one."
        listening "$wish" &&
            fail "port $wish is in use: stop the process that listens there, or set $variable to another port (unset: a free one)."
        echo "$wish"
        return
    fi
    if ! listening "$usual"; then
        echo "$usual"
        return
    fi
    # Below the range from which the kernel assigns ports, so that no other process gets the port meanwhile.
    for _ in {1..50}; do
        port=$((20000 + RANDOM % 10000))
        if ! listening "$port"; then
            echo "$port"
            return
        fi
    done
    fail "found no free port between 20000 and 29999: set $variable to a free one."
}

# running PIDFILE WORD: prints the pid in PIDFILE if that process runs and is ours (WORD is in its command line).
running() {
    local pid
    [[ -s $1 ]] || return 1
    pid=$(<"$1")
    [[ $pid =~ ^[0-9]+$ ]] && kill -0 "$pid" 2>/dev/null || return 1
    tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$2" || return 1
    echo "$pid"
}

# gone PIDFILE: the process has ended (unlike `! running`, false for a process that is just starting).
gone() { ! kill -0 "$(<"$1")" 2>/dev/null; }

# end PIDFILE WORD SECONDS: asks the process to stop, and kills it if it still runs after SECONDS.
end() {
    local pid
    if ! pid=$(running "$1" "$2"); then
        rm -f "$1"
        return 0
    fi
    kill "$pid" 2>/dev/null || true
    for ((i = 0; i < $3 * 10; i++)); do
        running "$1" "$2" >/dev/null || break
        sleep 0.1
    done
    if running "$1" "$2" >/dev/null; then
        kill -KILL "$pid" 2>/dev/null || true
    fi
    rm -f "$1"
}
