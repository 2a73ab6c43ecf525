#!/bin/sh
# Everything that is said about the code without running it. All of it runs; one failure fails.
set -u
cd "$(dirname "$0")/.." || exit
bin=.venv/bin
failed=""
step() {
    name=$1
    shift
    echo "lint: $name"
    "$@" || failed="$failed $name"
}
step "cargo fmt" cargo fmt --all --check
step "clippy" cargo clippy --release --locked --quiet --all-targets --features failpoints -- -D warnings
step "ruff" $bin/ruff check --quiet .
step "ruff format" $bin/ruff format --check --quiet .
step "mypy" $bin/mypy --no-error-summary
step "imports" $bin/lint-imports --no-logo
[ -z "$failed" ] || { echo "lint: failed:$failed" >&2 && exit 1; }
echo "lint: clean"
