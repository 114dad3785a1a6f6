#!/usr/bin/env bash
# Starts Hadal and the demo, and stops both on Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/.."
hadal=$1 data=$2

if [ "$(id -u)" != 0 ]; then
    echo "up: watching sockets needs root: run 'sudo make up'" >&2
    exit 1
fi

"$hadal" up --data "$data" &
up=$!
/usr/bin/python3 demo/demo.py up &
demo=$!
stop() {
    trap - INT TERM EXIT
    kill -TERM $demo 2>/dev/null || true
    wait $demo 2>/dev/null || true
    kill -TERM $up 2>/dev/null || true
    wait $up 2>/dev/null || true
}
trap stop EXIT
trap 'exit 0' INT TERM
# Whichever ends first ends the other; Hadal's exit code says why it could not run.
wait -n $up $demo
