#!/bin/sh
# build.sh recorder|failpoints: builds the recorder and puts it beside the command.
# One profile and one target folder for all, so that arrow and parquet are compiled once.
set -eu
cd "$(dirname "$0")/.."
bin=.venv/bin

# `install` makes a new file: a recorder that runs keeps its own.
put() {
    cmp -s target/release/glassfs-recorder "$1" || install -m 755 target/release/glassfs-recorder "$1"
}

# The first build takes minutes and shows what it is at.
quiet=--quiet
[ -e target/release/glassfs-recorder ] || quiet=

case $1 in
recorder)
    # shellcheck disable=SC2086 # nothing, or one word
    cargo build --release --locked $quiet
    put $bin/glassfs-recorder
    ;;
failpoints)
    cargo build --release --locked --quiet --features failpoints
    put $bin/glassfs-recorder-failpoints
    # The plain one again in its place: cargo only links it anew.
    cargo build --release --locked --quiet
    ;;
esac
