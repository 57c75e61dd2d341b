# The only door to this repository: `make` prints the list.
# What a target does in more than two lines stands in scripts/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Time that each fuzz target gets (`make fuzz T=5m`).
T ?= 60s
# Pattern of the benchmarks to run (`make bench B=Segment`).
B ?= .

.PHONY: help demo up build test test-long chaos sim check fmt deps localstack golden generate fuzz bench bench-ingest bench-play clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## start everything, publish the built-in sample, print the address to watch
	@exec scripts/demo

up: build ## start roomcast on this machine and print how to stream to it
	@exec bin/roomcast up

build: ## build bin/roomcast
	@scripts/build

test: deps check ## install what the tests need, check, and run all tests
	@scripts/test

test-long: deps ## the tests that take minutes as well (build tag `long`)
	@scripts/test -tags long

chaos: ## ten minutes of kills, stops and cut lines on real processes (SEED=n chooses the faults)
	@go test -tags long -count=1 -timeout 45m -v ./internal/e2e/chaos -seed=$(or $(SEED),0)

sim: ## live through 100,000 simulated histories of keys and rooms (SEED=n tells one; BUG="…" plants one)
	@scripts/sim $(SEED)

check: ## format, import rules, vet, lint, generated docs, known vulnerabilities
	@scripts/check

fmt: ## format all Go files the way `check` wants them
	@scripts/tools
	@.deps/bin/golangci-lint fmt

deps: ## install what tests and checks need (idempotent)
	@scripts/deps

localstack: ## start LocalStack (AWS for tests) and keep it running; `scripts/localstack stop` ends it
	@scripts/localstack start

golden: ## rewrite golden files; read the diff before you commit it
	@scripts/each-test golden 'flag\.Bool\("update"' go test -count=1 {} -update

generate: ## rewrite what is made from the code (docs/states.md, docs/openapi.yaml, the clients)
	@scripts/generate

fuzz: ## run every fuzz target for T=60s
	@scripts/fuzz $(T)

bench: ## run the benchmarks (B=pattern)
	@scripts/each-test bench '^func Benchmark' go test -run '^$$' -bench '$(B)' -benchmem {}

bench-ingest: build ## CPU and memory of ingest, packaging and uploads beside their peers (docs/bench/ingest.md; needs a quiet machine)
	@go build -o bin/peerbench ./internal/e2e/peerbench
	@bin/peerbench -roomcast bin/roomcast
	@bin/peerbench -unpaced -roomcast bin/roomcast

bench-play: build ## CPU and memory of viewers beside nginx-rtmp and a plain loop (docs/bench/play.md; the same)
	@go build -o bin/peerbench ./internal/e2e/peerbench
	@bin/peerbench -play -roomcast bin/roomcast -streams 300,1000

clean: ## remove what was built (data in .roomcast stays)
	@rm -rf bin .deps internal/e2e/browser/node_modules
