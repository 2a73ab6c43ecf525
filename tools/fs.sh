#!/bin/sh
# fs.sh mount|umount|is-mounted|must-not-be-mounted: fs_data, seen at fs. Never deletes fs_data.
set -eu
cd "$(dirname "$0")/.."

# Reads the mount table only: looking at a dead mount itself may hang.
is_mounted() {
    findmnt --noheadings --mountpoint "$PWD/fs" >/dev/null 2>&1
}

case $1 in
mount)
    if is_mounted; then
        echo "fs is mounted already (make end unmounts it)"
    else
        mkdir -p fs_data fs
        .venv/bin/glassfs mount fs_data fs
    fi
    ;;
umount)
    if is_mounted; then
        .venv/bin/glassfs umount fs
    else
        echo "fs is not mounted"
    fi
    ;;
is-mounted) is_mounted ;;
must-not-be-mounted) ! is_mounted || { echo "fs is mounted: make end first" >&2 && exit 1; } ;;
esac
