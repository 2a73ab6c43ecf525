#!/bin/sh
# Writes the hashed Python locks anew from pyproject.toml. Needs uv; run by hand when a dependency is to move.
set -eu
cd "$(dirname "$0")/.."
lock() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-header --no-annotate --upgrade "$@"
}
lock pyproject.toml --output-file requirements.lock
lock pyproject.toml --group dev --output-file requirements-dev.lock
