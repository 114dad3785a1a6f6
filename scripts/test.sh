#!/usr/bin/env bash
# Everything a change must pass. Counts the tests of all runners and ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
passed=0 failed=0

# step NAME COMMAND…: one test that is a command.
step() {
    local name=$1
    shift
    if "$@" >"$log" 2>&1; then
        echo "ok $name"
        passed=$((passed + 1))
    else
        cat "$log"
        echo "FAILED $name"
        failed=$((failed + 1))
    fi
}

# counted COMMAND…: a runner that prints how many passed and failed; shown as it runs.
counted() {
    "$@" 2>&1 | tee "$log"
    local status=${PIPESTATUS[0]} ok bad
    ok=$(grep -aoE '[0-9]+ passed' "$log" | awk '{ n += $1 } END { print n + 0 }')
    bad=$(grep -aoE '[0-9]+ failed' "$log" | awk '{ n += $1 } END { print n + 0 }')
    # A runner that died without counting is a failure too.
    if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
    passed=$((passed + ok)) failed=$((failed + bad))
}

step "rustfmt" cargo fmt --check
step "clippy" cargo clippy --locked --workspace --all-targets -- -D warnings
step "tidy" cargo xtask tidy
step "page: compiler and linter" bash -c 'cd web && npm run --silent check'
counted cargo test --locked --workspace --no-fail-fast
counted bash -c 'cd web && NO_COLOR=1 npx vitest run 2>&1 | sed -n "s/^ *Tests  *//p"'
step "build" cargo build --locked -p hadal
hadal=${CARGO_TARGET_DIR:-$HOME/.cache/hadal/target}/debug/hadal
step "web/openapi.json is what the server says" bash -c "\"$hadal\" openapi | diff - web/openapi.json"
if [ "$(id -u)" = 0 ]; then
    export HADAL_BIN=$hadal
    counted /usr/bin/python3 tests/run.py
else
    echo "not run: the end-to-end tests need root"
fi
rm -f "$log"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
