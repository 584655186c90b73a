# orderd: developer commands. `make help` lists them.

PYTHON ?= python3
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo sandbox test check lint bench soak fmt install clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: install ## run the reference scenario on private servers, show the end state
	@$(BIN)/python -m tests.harness.sandbox demo

sandbox: install ## leave private servers and a daemon running, print the lines to type
	@$(BIN)/python -m tests.harness.sandbox sandbox

test: install lint ## everything but the soak tests: check, integration, acceptance
	@$(BIN)/python -m tests.harness.lanes $(PYTEST_ARGS)

check: install lint ## format, lint, types, import contracts, unit tests (under 20 s)
	HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest -q tests/unit $(PYTEST_ARGS)

bench: install ## measure orderd against pgbench (some minutes)
	@$(BIN)/python -m tests.bench

soak: install ## what needs minutes: batch = one by one, over thousands of examples
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -m "soak or not soak" \
		tests/integration/batch/test_equivalence.py tests/unit/domain $(PYTEST_ARGS)

fmt: install ## format, and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove the virtual environment, caches and builds
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install:
	@bash tests/harness/install $(PYTHON) $(VENV)
