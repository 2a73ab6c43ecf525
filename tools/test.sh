#!/bin/sh
# test.sh all|quick: the Rust and the Python tests, both always; ends with pytest's own last line.
set -u
cd "$(dirname "$0")/.." || exit
failed=0
case $1 in
all)
    cargo test --release --locked --features failpoints || failed=1
    # cargo has left the build with failpoints in target/release.
    tools/build.sh recorder || failed=1
    .venv/bin/python -m pytest || failed=1
    ;;
quick)
    cargo test --release --locked --lib --features failpoints || failed=1
    .venv/bin/python -m pytest -q -m "not mount and not root and not slow" || failed=1
    ;;
esac
exit $failed
