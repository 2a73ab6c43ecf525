#!/bin/sh
# Builds the real Metricbeat 7.17.28 (Go; some 3 minutes the first time) into .cache/metricbeat, and prints its path.
set -eu
cd "$(dirname "$0")/beat"
built=$(cd ../../.. && pwd)/.cache/metricbeat/metricbeat

if [ ! -x "$built" ] || [ -n "$(find . -type f -newer "$built")" ]; then
    command -v go >/dev/null || { echo "build.sh: Go is not installed (package golang-go, 1.25 or later)" >&2 && exit 3; }
    mkdir -p "$(dirname "$built")"
    nice -n 10 go build -trimpath -ldflags '-s -w' -o "$built.new" . >&2
    mv "$built.new" "$built"
fi
echo "$built"
