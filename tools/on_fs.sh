#!/bin/sh
# on_fs.sh rocks|psql: runs a database on fs, then prints what glassfs saw of it.
# fs is mounted if it is not, and left as it was found; the database is removed again.
set -eu
cd "$(dirname "$0")/.."
glassfs=$PWD/.venv/bin/glassfs
what=$1
reach=""
ours=no

finish() {
    if [ $ours = yes ] && tools/fs.sh is-mounted; then $glassfs umount fs; fi
    rm -rf "fs_data/$name"
    [ -z "$reach" ] || rmdir "$reach/fs" "$reach"
}

rocks() {
    db_bench --db="$PWD/fs/$name" --benchmarks=fillrandom,readrandom --num=200000
}

# The server is not root's: where it could not get to fs (a clone below /root), it gets a way of its own.
psql() {
    if [ "$(id -u)" != 0 ] || setpriv --reuid=postgres --regid=postgres --init-groups test -x "$PWD/fs"; then
        tools/pg_session.sh "$PWD/fs/$name" 15
        return
    fi
    reach=$(mktemp -d /tmp/glassfs-psql.XXXXXX)
    mkdir "$reach/fs" && chmod 755 "$reach"
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --mount --propagation slave sh -eu -c \
        'mount --bind fs "$1/fs" && exec tools/pg_session.sh "$1/fs/$2" 15' sh "$reach" "$name"
}

mkdir -p fs_data fs
if tools/fs.sh is-mounted; then
    trace=$(.venv/bin/python tools/trace_of.py "$PWD/fs")
else
    trace=$($glassfs mount --json fs_data fs | .venv/bin/python -c 'import json, sys; print(json.load(sys.stdin)["trace"])')
    ours=yes
fi
name=$what.$$
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "fs/$name"
$what
if [ $ours = yes ]; then
    $glassfs umount fs
    $glassfs report "$trace"
else
    # Others may use the mount too: only the database's own files.
    $glassfs report "$trace" --path "$PWD/fs/$name/*"
fi
