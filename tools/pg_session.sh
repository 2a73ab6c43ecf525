#!/bin/sh
# pg_session.sh DIR SECONDS: a real PostgreSQL in DIR: initdb, a server, pgbench, and a clean stop.
# Never as root (root becomes `postgres`), no TCP port, the socket in a temporary folder, nothing left running.
set -eu
data=$1/data
seconds=$2

bin=$(printf "%s\n" /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
[ -x "$bin/initdb" ] || { echo "pg_session: no /usr/lib/postgresql/*/bin: make deps" >&2 && exit 3; }

socket=$(mktemp -d /tmp/glassfs-pg.XXXXXX)
mkdir -p "$1"
if [ "$(id -u)" = 0 ]; then
    chown postgres: "$1" "$socket"
    as="setpriv --reuid=postgres --regid=postgres --init-groups env HOME=$socket"
else
    as=""
fi

stop() {
    [ ! -f "$data/postmaster.pid" ] || $as "$bin/pg_ctl" -D "$data" -m fast -w stop >/dev/null
    rm -rf "$socket"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

$as "$bin/initdb" -D "$data" -U postgres --auth=trust --data-checksums --encoding=UTF8 --locale=C >"$socket/initdb.log" 2>&1 ||
    { cat "$socket/initdb.log" >&2 && exit 1; }
echo "initdb: done"
$as "$bin/pg_ctl" -D "$data" -l "$1/server.log" -w -t 120 -o "-c listen_addresses='' -c unix_socket_directories='$socket'" start >/dev/null ||
    { cat "$1/server.log" >&2 && exit 1; }
echo "server: $("$bin/postgres" --version)"
$as "$bin/pgbench" -h "$socket" -U postgres --initialize --scale=5 --quiet postgres 2>&1 | tail -n 1
$as "$bin/pgbench" -h "$socket" -U postgres --client=4 --jobs=2 --time="$seconds" postgres
$as "$bin/pg_ctl" -D "$data" -m fast -w stop >/dev/null
echo "server: stopped"
