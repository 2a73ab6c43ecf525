#!/bin/sh
# deps.sh GROUP...: installs what the groups miss. As root on Debian or Ubuntu with apt: says what, then does it.
# Else prints the one line to run. Starts no service and creates no database cluster.
set -eu
cd "$(dirname "$0")/.."

# What must be there, and the package that brings it. A word with a slash is a file, another one a command.
needs_of() {
    case $1 in
    build) echo "cc:gcc /usr/include/stdlib.h:libc6-dev clang:clang llvm-strip:llvm" ;;
    mount) echo "fusermount3:fuse3 findmnt:util-linux setpriv:util-linux unshare:util-linux" ;;
    rocksdb) echo "db_bench:rocksdb-tools ldb:rocksdb-tools" ;;
    postgresql) echo "/usr/lib/postgresql/*/bin/initdb:postgresql /usr/lib/postgresql/*/bin/pgbench:postgresql" ;;
    test) echo "strace:strace setfacl:acl getfattr:attr sqlite3:sqlite3 mkfs.ext4:e2fsprogs chattr:e2fsprogs" \
        "stress-ng:stress-ng fio:fio" ;;
    bench) echo "fio:fio loggedfs:loggedfs strace:strace perf:linux-perf mkfs.ext4:e2fsprogs" ;;
    elastic) echo "javac:default-jdk-headless mvn:maven unzip:unzip curl:curl unshare:util-linux" ;;
    *) echo "deps.sh: no such group: $1" >&2 && exit 2 ;;
    esac
}

is_there() {
    case $1 in
    /*) for file in $1; do [ -e "$file" ] && return 0; done && return 1 ;;
    *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ] ;;
    esac
}

missing_packages() {
    for group in "$@"; do
        for need in $(set -f && needs_of "$group"); do
            is_there "${need%:*}" || echo "${need##*:}"
        done
        if [ "$group" = build ]; then missing_venv; fi
    done | sort -u | tr '\n' ' '
}

# Debian's python3 comes without ensurepip: `python3 -m venv` fails without python3-venv.
missing_venv() {
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

# Otherwise Debian's package makes a cluster and starts a server.
make_no_cluster() {
    mkdir -p /etc/postgresql-common
    config=/etc/postgresql-common/createcluster.conf
    grep -qs '^create_main_cluster' $config || echo 'create_main_cluster = false' >>$config
}

apt_install() {
    echo "deps: installing with apt: $*"
    case " $* " in *" postgresql "*) make_no_cluster ;; esac
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    {
        apt-get update && apt-get install -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@"
    } >"$log" 2>&1 </dev/null || {
        tail -n 20 "$log" >&2
        echo "deps: apt failed (all of its words: $log)" >&2
        exit 3
    }
    rm -f "$log"
}

need_rust() {
    command -v cargo >/dev/null || {
        echo "deps: Rust 1.88 or newer is missing. Install it with rustup (https://rustup.rs), then run make again." >&2
        exit 3
    }
    version=$(rustc --version | cut -d' ' -f2)
    minor=$(echo "$version" | cut -d. -f2)
    [ "${version%%.*}" -gt 1 ] || [ "$minor" -ge 88 ] || {
        echo "deps: Rust $version is too old, 1.88 is needed. Run: rustup update" >&2
        exit 3
    }
}

need_python() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
        echo "deps: python3 is missing or older than 3.11" >&2
        exit 3
    }
}

packages=$(missing_packages "$@")
if [ -n "$packages" ]; then
    # shellcheck disable=SC2086 # a list of names
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt_install $packages
    else
        echo "deps: missing: $packages" >&2
        echo "deps: run this, then make again:  sudo apt-get install -y --no-install-recommends $packages" >&2
        case $packages in *postgresql*) echo "deps: (to keep apt from starting a server: set create_main_cluster = false in" \
            "/etc/postgresql-common/createcluster.conf first)" >&2 ;; esac
        exit 3
    fi
fi
case " $* " in *" build "*) need_python && need_rust ;; esac
