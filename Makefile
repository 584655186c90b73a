# orderd: developer commands. `make help` lists them.

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
IMAGE_ARGS ?=
COVERED ?= tests/unit tests/integration tests/acceptance
COG := -m cogapp -I . -p 'from tools import reference'
PAGES := $(wildcard docs/reference/*.md)
LINTERS := format-check rules types imports docs-check spelling
ONE_VERSION := not (soak or system or container or versions)

VENV := .venv
BIN := $(VENV)/bin
LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help demo sandbox test test-versions test-system test-container deb image up down lock check lint coverage docs bench bench-peers soak release fmt install clean \
	unit $(LINTERS)

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: install ## run the reference scenario on private servers, show the end state
	@$(BIN)/python -m tools.sandbox demo

sandbox: install ## leave private servers and a daemon running, write build/sandbox/env to source
	@$(BIN)/python -m tools.sandbox sandbox

test: install lint ## check, integration and acceptance tests, in lanes side by side
	@bash tools/install --tests
	@$(BIN)/python -m tests.support.lanes $(PYTEST_ARGS)

check: install ## format, lint, types, import contracts, unit tests, side by side (under 20 s)
	@$(MAKE) --no-print-directory --output-sync -j unit $(LINTERS)

test-versions: install ## integration and acceptance tests, on the servers of newer Debian releases (as root)
	@bash tools/install --tests
	for suite in trixie forky; do \
		ORDERD_TEST_SUITE=$$suite $(BIN)/python -m pytest -m "$(ONE_VERSION)" \
			tests/integration tests/acceptance $(PYTEST_ARGS) || exit; \
	done

test-system: install ## boot a Debian 13 with systemd, try package and units in it (as root)
	@bash tools/install --guest
	$(BIN)/python -m pytest -m system tests/system $(PYTEST_ARGS)

test-container: install ## build the image with podman, try it, compose and Quadlet (as root)
	@bash tools/install --container
	$(BIN)/python -m pytest -m container tests/container $(PYTEST_ARGS)

deb: install ## build the Debian package into dist (as root)
	@bash tools/install --guest
	@$(BIN)/python -m tools.guest_deb

image: ## build the container image localhost/orderd with podman
	podman build --format docker --timestamp 0 --tag localhost/orderd:latest \
		--label org.opencontainers.image.revision="$$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
		--label org.opencontainers.image.version="$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' orderd/__init__.py)" \
		$(IMAGE_ARGS) .

up: ## bring up RabbitMQ, PostgreSQL and orderd with docker compose
	@compose/up

down: ## take that down again; its data stay
	@compose/down

lock: install ## renew the locked requirements of the image, with the newest versions
	@$(BIN)/python -m pip install -qq --disable-pip-version-check uv
	$(LOCK) pyproject.toml --output-file requirements/runtime.txt
	$(LOCK) requirements/build.in --output-file requirements/build.txt

coverage: install ## unit, integration and acceptance tests, and the lines that they do not reach
	@mkdir -p build/coverage
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -m "$(ONE_VERSION)" $(COVERED) $(PYTEST_ARGS); code=$$?; \
		$(BIN)/coverage combine -q && $(BIN)/coverage report && exit $$code

bench: install ## measure orderd against pgbench, and a worker with little to do (half an hour)
	@$(BIN)/python -m bench orderd $(BENCH_ARGS)
	@$(BIN)/python -m bench alone $(BENCH_ARGS)

bench-peers: install ## measure other ways to write the worker beside orderd (half an hour)
	@$(BIN)/python -m bench install
	@$(BIN)/python -m bench peers $(BENCH_ARGS)

soak: install ## every fault for real, under load; thousands of examples (an hour)
	@bash tools/install --tests
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -m "soak or not soak" \
		tests/integration/pipeline/test_equivalence.py \
		tests/integration/pipeline/test_two_sessions.py tests/unit/shop tests/unit/protocol \
		tests/unit/pipeline $(PYTEST_ARGS)
	HYPOTHESIS_PROFILE=random $(BIN)/python -m pytest -m soak tests/integration tests/acceptance tests/soak $(PYTEST_ARGS)

release: ## cut a release from a clean tree: make release VERSION=1.2.3
	@$(PYTHON) -m tools.release "$(VERSION)"

docs: install ## write the tables of the documentation, manual pages and completion from the code
	@$(BIN)/python $(COG) -r $(PAGES)
	@$(BIN)/python -m tools.generated

fmt: install ## format, and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove the virtual environment, caches and builds
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

lint: install
	@$(MAKE) --no-print-directory --output-sync -j $(LINTERS)

format-check:
	$(BIN)/ruff format --check .

rules:
	$(BIN)/ruff check .

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

docs-check:
	$(BIN)/python $(COG) --check --diff --verbosity=1 $(PAGES)
	$(BIN)/python -m tools.generated --check

spelling:
	$(BIN)/codespell

unit:
	HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest -q -n 2 tests/unit $(PYTEST_ARGS)

install:
	@bash tools/install $(PYTHON) $(VENV)
