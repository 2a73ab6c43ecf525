# The everyday commands. Each target installs what it misses first; nothing here deletes fs_data.
# After `make compile` the command is .venv/bin/glassfs.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory

# Where rustup puts cargo: not on the PATH of every shell, nor of a CI job.
export PATH := $(PATH):$(HOME)/.cargo/bin

VENV := .venv
PYTHON := $(VENV)/bin/python
GLASSFS := $(VENV)/bin/glassfs
PLANE ?= daemon
VERSION ?= opensearch-2.19.1
PYTEST := $(PYTHON) -m pytest

##@ Use

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo

demo: ## From nothing: install, build, and trace RocksDB and PostgreSQL, step by step
	@tools/demo.sh

compile: $(VENV)/.installed recorder ## Build the recorder and install the command into .venv

run: compile ## Mount fs_data at fs, traced
	@tools/deps.sh mount
	@tools/fs.sh mount

all: compile run ## compile and run

end: ## Unmount fs; what is in fs_data stays
	@tools/fs.sh umount

rocks: compile ## The real db_bench on fs (mounted if it is not, left as it was found), then the report
	@tools/deps.sh mount rocksdb
	@tools/on_fs.sh rocks

psql: compile ## The real PostgreSQL (initdb, server, pgbench, not as root) on fs, then the report
	@tools/deps.sh mount postgresql
	@tools/on_fs.sh psql

elastic-up: ## Start a real OpenSearch or Elasticsearch on loopback; VERSION=elasticsearch-8.19.0 ...
	@tools/deps.sh elastic
	@tools/elastic.sh up $(VERSION)
	@test -x $(GLASSFS) || echo "Next: make compile"
	@echo "Next: $(GLASSFS) elastic setup"

elastic-down: ## Stop what elastic-up has started; its data stays
	@tools/elastic.sh down

##@ Work on it

test: compile failpoints ## Everything that must hold: Rust and Python tests, mounts, databases (under 30 minutes)
	@tools/deps.sh mount rocksdb postgresql test elastic
	@tools/test.sh main

test-elastic: compile ## The server's tests on all five versions of OpenSearch and Elasticsearch
	@tools/deps.sh mount rocksdb postgresql elastic
	@tools/test_elastic.sh

check: compile lint ## Lint, and the tests that need no root and no mount (under 2 minutes once built)
	@tools/test.sh quick

test-all: compile failpoints ## make test, and what takes too long for it
	@tools/deps.sh mount rocksdb postgresql test elastic
	@tools/test.sh all

lint: $(VENV)/.packages ## Formatting, clippy, ruff, mypy, and who may import whom
	@tools/lint.sh

format: $(VENV)/.packages ## Format Rust and Python, and repair what ruff can
	@cargo fmt --all
	@$(VENV)/bin/ruff check --quiet --fix-only .
	@$(VENV)/bin/ruff format --quiet .

events-doc: compile ## Write docs/events.md from the recorder's schema
	@$(PYTHON) tools/events_doc.py $(VENV)/bin/glassfs-recorder > docs/events.md

fields-doc: compile ## Write docs/reference/fields.md from the table of what is shipped
	@$(PYTHON) tools/fields_doc.py > docs/reference/fields.md

config-doc: compile ## Write docs/reference/config.md and config.example.yml from the model of the settings
	@$(PYTHON) tools/config_doc.py reference > docs/reference/config.md
	@$(PYTHON) tools/config_doc.py example > config.example.yml

posix: compile ## pjdfstest behind the mount, as root; PLANE=daemon or kernel
	@tools/deps.sh mount test
	@$(PYTHON) tests/posix/run_posix.py --plane $(PLANE)

bench: compile ## Measure beside native, strace and LoggedFS; writes bench/results/latest.json (under 25 minutes)
	@tools/deps.sh mount rocksdb postgresql bench
	@$(PYTHON) -m bench
	@$(PYTHON) -m bench.tables

bench-elastic: compile ## Shipping beside a bare loader on a real OpenSearch; writes bench/results/elastic.json
	@tools/deps.sh elastic
	@$(PYTHON) -m bench.elastic --long 10

bench-boards: compile failpoints ## The dashboards' questions over 5 million calls on a real OpenSearch; bench/results/dashboards.json
	@tools/deps.sh mount rocksdb postgresql elastic
	@$(PYTHON) -m bench.elastic_boards

wheel: $(VENV)/.packages ## Build dist/glassfs-*.whl: package, entry point and recorder
	@tools/deps.sh build
	@rm -rf build dist
	@$(PYTHON) -m pip wheel --quiet --no-build-isolation --no-deps --wheel-dir dist .
	@ls dist/*.whl

deps: ## Install what all targets need, and say what
	@tools/deps.sh build mount rocksdb postgresql test bench elastic

clean: ## Remove what was built: target, .venv, caches. Never fs_data
	@tools/fs.sh must-not-be-mounted
	@tools/elastic.sh down
	rm -rf target build dist $(VENV) .cache .pytest_cache .ruff_cache .mypy_cache .hypothesis src/*.egg-info
	find . -name __pycache__ -not -path './fs/*' -not -path './fs_data/*' -prune -exec rm -rf {} +

# The parts

$(VENV)/.packages: requirements-dev.lock tools/deps.sh
	@tools/deps.sh build
	@tools/venv.sh $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.packages pyproject.toml setup.py Cargo.lock recorder/Cargo.toml src/glassfs/__init__.py
	@tools/deps.sh build
	@tools/build.sh recorder
	@$(PYTHON) -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

# Cargo knows best whether anything has changed.
recorder: $(VENV)/.installed
	@tools/build.sh recorder

# The same code with failpoints: a held fsync, a stalled trace disk. Only our own crate is compiled again.
failpoints: compile
	@tools/build.sh failpoints

.PHONY: help demo compile run all end rocks psql elastic-up elastic-down test test-elastic check test-all lint format events-doc config-doc fields-doc posix bench bench-elastic bench-boards wheel deps clean recorder failpoints
