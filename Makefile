# Every task of the project. `make help` lists them; `make demo` and `make test` do their own set-up.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
STATE ?= .imagint
T ?= tests
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

.PHONY: help
help: ## List the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | \
	  while IFS=$$'\t' read -r name text; do printf '  \033[1m%-10s\033[0m %s\n' "$$name" "$$text"; done

.PHONY: setup
setup: $(VENV)/.installed ## Make .venv with every locked package (about a minute)
	@$(BIN)/imagint build

$(VENV)/.installed: requirements/all.txt requirements/uv.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Imagint needs Python 3.11 or newer on PATH (or: make PYTHON=/path/to/python3.12)."; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) (once, about a minute and 6 GB)"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) || { echo "This Python has no venv module: on Debian, apt-get install python3-venv"; exit 1; }
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(PY) --require-hashes -r requirements/all.txt
	@$(BIN)/uv pip install --quiet --python $(PY) --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: postgres
postgres: setup ## Have PostgreSQL's server programs: found, or installed when run by root
	@$(PY) -m imagint_dev.postgres

.PHONY: demo
demo: setup ## The whole promise on real parts, told as a story
	@$(BIN)/imagint demo --state $(STATE)/demo

.PHONY: test
test: setup postgres ## Every test (T=path narrows it)
	@$(BIN)/python -m pytest $(if $(filter tests,$(T)),-n 2 --dist loadscope --no-loadscope-reorder) $(T)

.PHONY: faults
faults: setup ## Inject faults between the operator and everybody it talks to (IMAGINT_SWEEP=full: every write, an hour)
	@IMAGINT_SWEEP=$(or $(IMAGINT_SWEEP),sample) $(PY) -m pytest -v tests/integration/operator/faults

.PHONY: node
node: setup ## Try the network policies on real pods (root; builds a node the first time, which takes minutes)
	@IMAGINT_TESTNODE=$(or $(IMAGINT_TESTNODE),build) $(PY) -m pytest -v tests/node

.PHONY: lint
lint: $(VENV)/.installed ## Style, complexity and import rules
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

.PHONY: fmt
fmt: $(VENV)/.installed ## Format the code
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format .

.PHONY: types
types: $(VENV)/.installed ## mypy, strict
	@$(BIN)/mypy

.PHONY: crds
crds: $(VENV)/.installed ## Write crds/ from the types
	@$(PY) -m imagint_operator.api.generate crds

.PHONY: inventory
inventory: $(VENV)/.installed ## Write docs/data-inventory.md from the inventory
	@$(PY) -m imagint_privacy.records.inventory_page docs/data-inventory.md

.PHONY: model
model: $(VENV)/.installed ## Train the bundled "shapes" model anew (5 to 7 CPU-minutes)
	@$(PY) -m imagint_serving.shapes.train

.PHONY: bench
bench: setup postgres ## Measure: make bench NAME=demo
	@test -n "$(NAME)" -a \( -f "bench/$(NAME).py" -o -f "bench/$(NAME)/__main__.py" \) || { echo "Say which: make bench NAME=demo, NAME=keys or NAME=operator"; exit 1; }
	@$(PY) -m bench.$(NAME)

.PHONY: check
check: lint types ## What CI checks before the tests
	@$(PY) -m imagint_operator.api.generate --check crds
	@$(PY) -m imagint_privacy.records.inventory_page --check docs/data-inventory.md
	@$(PY) -m imagint_operator.telemetry.pages --check docs
	@$(PY) -m imagint_dev.rights --check docs/rbac.md

.PHONY: up
up: setup ## Start the embedded stack
	@$(BIN)/imagint up --state $(STATE)/stack

.PHONY: down
down: ## Stop it
	@$(BIN)/imagint down --state $(STATE)/stack

.PHONY: lock
lock: $(VENV)/.installed ## Pin the requirements anew, with hashes and without addresses
	@for f in all:"--all-extras --group test pyproject.toml" uv:requirements/uv.in go:requirements/go.in; do \
	  $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  $${f#*:} -o requirements/$${f%%:*}.txt; done

.PHONY: clean
clean: ## Stop every stack of this folder and remove all that was made here
	@if [ -x $(BIN)/imagint ]; then for s in $(STATE)/*/; do [ -d "$$s" ] && $(BIN)/imagint down --purge --state "$$s" || true; done; fi
	@rm -rf $(STATE) demo-output $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
