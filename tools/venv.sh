#!/bin/sh
# venv.sh DIR: makes the virtual environment with exactly the packages of the lock, each checked by its hash.
set -eu
cd "$(dirname "$0")/.."
[ -x "$1/bin/python" ] || { echo "venv: $1 ($(python3 --version))" && python3 -m venv "$1"; }
"$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
