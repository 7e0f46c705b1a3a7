# Roost. `make up` runs the whole system here; `make test` proves it. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

NODES ?= 3
TENANTS ?= 6
STATE_DIR ?= ./.roost
UP_FLAGS ?=
CHAOS_SECS ?= 1800
SEED ?=
KINDS ?=
# What is shipped; the other members of the workspace are for its tests.
PRODUCT := -p roost-node -p roost-coordinator -p roost-cli -p roost-simulator

.PHONY: help deps test-deps up demo test check deny bench chaos soak mutants test-cgroup prepare-sql release quick

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

deps: ## install what is missing (etcd, PostgreSQL, the browser, protoc, npm packages)
	@deploy/deps.sh

test-deps: deps
	@deploy/deps.sh --test

release: deps ## the programs as they are shipped, in target/release
	cargo build --release --bins $(PRODUCT)

quick: deps
	cargo build --profile up --bins $(PRODUCT)

up: quick ## a whole cluster on this machine, with demo tenants; Ctrl-C ends it (NODES=3 TENANTS=6)
	@target/up/roost dev --state-dir '$(STATE_DIR)' --nodes $(NODES) --tenants $(TENANTS) $(UP_FLAGS)

demo: quick ## the tour without hands: pair, answer, kill a node, be answered elsewhere, add a node
	@target/up/roost demo

# One build for both: a call for the programs alone would choose other features of their dependencies.
test: test-deps ## every test, on real etcd, PostgreSQL, Chromium and an S3-compatible server
	cargo build --workspace --bins --tests
	cargo test --workspace

check: deps ## format, clippy, docs, proto lint and compatibility, the order of the house
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet
	proto/lint/node_modules/@bufbuild/buf-linux-*/bin/buf lint proto
	proto/lint/node_modules/@bufbuild/buf-linux-*/bin/buf breaking proto --against proto/lint/roost-0.1.0.binpb
	cargo test --quiet -p roost-house

deny: ## licences, bans and sources of dependencies; advisories where their database can be reached
	@deploy/deps.sh --deny
	PATH="target/tools/deny/bin:$$PATH" cargo deny check licenses bans sources
	@export PATH="target/tools/deny/bin:$$PATH"; cargo deny check advisories || { cargo deny fetch db >/dev/null 2>&1 && exit 1 || echo "deny: the advisory database cannot be reached from here; advisories were not checked"; }

bench: release ## the figures of BENCHMARKS.md, each beside its baseline in the same run
	@deploy/deps.sh --bench
	cargo build --release -p roost-tests --bins
	@target/release/roost-bench

chaos: deps ## half an hour of kills, freezes and partitions on real processes (CHAOS_SECS=1800 SEED= KINDS=)
	cargo build --workspace --bins --tests
	CHAOS_SECS=$(CHAOS_SECS) $(if $(SEED),SEED=$(SEED)) $(if $(KINDS),KINDS=$(KINDS)) cargo test --workspace --test chaos every -- --nocapture

soak: test-deps ## longer: many seeds of the simulation and of the saves, then two hours of chaos
	ROOST_HISTORIES=10000 cargo test -p roost-node --lib -- whatever_fails --nocapture
	ROOST_UPLOAD_MB=200 ROOST_S3_HISTORIES=20 cargo test -p roost-node --lib -- session::tests::s3 --nocapture
	ROOST_COPIES=100 cargo test --workspace --test system -- copies_of_a_database --nocapture
	ROOST_SEEDS=200000 cargo test -p roost-proofs simulation -- --nocapture
	$(MAKE) chaos CHAOS_SECS=7200

mutants: deps ## takes out one guard of ownership at a time; the test named for it must fail (tests/README.md)
	@tests/mutants/run.sh

test-cgroup: deps ## control groups under the shipped unit, in a Debian of its own in qemu (tests/README.md)
	@deploy/deps.sh --cgroup
	cargo build --workspace --bins
	@tests/cgroup/run.sh

prepare-sql: deps ## refresh .sqlx after a query or a migration changed
	@store/prepare-sql.sh
