#!/usr/bin/env bash
# What Hadal costs and what it takes: tables beside baselines of the same run.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo run --release --locked -q -p hadal-bpf --example capture_cost
HADAL_BIN=$1 /usr/bin/python3 bench/nginx.py
cargo run --release --locked -q -p hadal-server --example ingest
cargo bench --locked -q -p hadal-flow --bench requests
