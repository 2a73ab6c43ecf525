#!/bin/sh
# The server's tests on every version, one after the other, and Metricbeat's. Goes on after a failure, and says it.
set -u
cd "$(dirname "$0")/.." || exit

failed=""
for version in $(tools/elastic.sh versions); do
    echo "test-elastic: $version"
    GLASSFS_TEST_ELASTIC=$version GLASSFS_TEST_ALL=1 nice .venv/bin/python -m pytest tests/elastic || failed="$failed $version"
done
if [ -d tests/metricbeat ]; then
    echo "test-elastic: Metricbeat"
    GLASSFS_TEST_ALL=1 nice .venv/bin/python -m pytest tests/metricbeat || failed="$failed metricbeat"
fi
[ -z "$failed" ] || { echo "test-elastic: failed:$failed" >&2 && exit 1; }
echo "test-elastic: all passed"
