#!/bin/sh
# From nothing to two traced databases. Each runs through `glassfs run` in a fresh temporary folder, which is removed.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
steps=4

step() {
    printf '\n== step %s of %s: %s\n' "$1" "$steps" "$2"
}

step 1 "install what is missing"
tools/deps.sh build mount rocksdb postgresql
echo "nothing is missing"

step 2 "build (the first time takes some minutes)"
make -s compile
"$root/.venv/bin/glassfs" version

scratch=$(mktemp -d /var/tmp/glassfs-demo.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# PostgreSQL's server is not root's and must get in.
chmod 755 "$scratch"
cd "$scratch"

step 3 "RocksDB: db_bench fills and reads 200,000 keys"
# Small buffers, so that the reads reach files.
"$root/.venv/bin/glassfs" run -- db_bench --db=./db --benchmarks=fillrandom,readrandom --num=200000 \
    --write_buffer_size=4194304 --cache_size=1048576

step 4 "PostgreSQL: initdb, a server, pgbench for 10 s"
"$root/.venv/bin/glassfs" run -- "$root/tools/pg_session.sh" ./pg 10

printf '\nThat is all. Look closer:  %s\n' "$root/.venv/bin/glassfs traces"
