#!/bin/sh
# test.sh main|all|quick: the Rust and the Python tests, both always; ends with pytest's own last line.
# main: all but what is marked slow. quick: what needs no root and no mount.
set -u
cd "$(dirname "$0")/.." || exit

case $1 in
main) chosen="not slow and not metricbeat" ;;
all) chosen="" ;;
quick) chosen="not mount and not root and not slow and not metricbeat" ;;
*) echo "test.sh: main, all or quick" >&2 && exit 2 ;;
esac

failed=""
if [ "$1" = quick ]; then
    cargo test --release --locked --quiet --features failpoints --lib || failed=" cargo"
else
    cargo test --release --locked --features failpoints || failed=" cargo"
fi
# The build with failpoints is in target/release now; the plain one again.
tools/build.sh recorder || failed="$failed build"
.venv/bin/python -m pytest -m "$chosen" || failed="$failed pytest"
[ -z "$failed" ] || { echo "test: failed:$failed" >&2 && exit 1; }
