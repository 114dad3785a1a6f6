# make up       build what is missing, start Hadal and the demo, say where the page is
# make test     everything a change must pass; ends with "N passed, N failed"
# make demo     the demo's services alone
# make bench    what Hadal costs, beside a baseline
# make clean    removes what was built, caches stay

SHELL := /bin/bash
export CARGO_TARGET_DIR ?= $(HOME)/.cache/hadal/target
export npm_config_cache ?= $(HOME)/.cache/npm
HADAL := $(CARGO_TARGET_DIR)/release/hadal
DATA ?= /var/lib/hadal

.PHONY: up demo test bench build web setup lint clean

setup:
	@scripts/setup.sh build

web/node_modules/.package-lock.json: web/package-lock.json web/package.json
	cd web && npm ci --silent
	@touch $@

web/dist/index.html: web/node_modules/.package-lock.json $(shell find web/src web/public web/index.html web/vite.config.ts -type f)
	cd web && npm run --silent build
	@touch $@

web: web/dist/index.html

build: setup web
	cargo build --release --locked -p hadal

up:
	@scripts/setup.sh demo
	@$(MAKE) --no-print-directory build
	@scripts/up.sh $(HADAL) $(DATA)

demo:
	@scripts/setup.sh demo
	/usr/bin/python3 demo/demo.py up

lint: web
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo xtask tidy
	cd web && npm run --silent check

test:
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory web
	@scripts/test.sh

bench:
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory build
	@scripts/bench.sh $(HADAL)

clean:
	rm -rf web/dist web/node_modules target
	cargo clean
