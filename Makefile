# `make run` and `make test` install what they need into .venv first; neither asks for root.

PYTHON ?= python3
BIN := .venv/bin
SOURCES := exporter.py bybit_exporter tests bench

export BYBIT_EXPORTER_REVISION ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)

.PHONY: install install-dev run test lint bench lock clean

install: .venv/installed
install-dev: .venv/installed-dev

run: install
	@if [ -e config.yaml ]; then \
		echo "Running with config.yaml."; exec $(BIN)/python exporter.py; \
	else \
		echo "There is no config.yaml: running the demo, whose figures are invented. See config.example.yaml."; \
		exec $(BIN)/python exporter.py --demo; \
	fi

test: lint
	$(BIN)/pytest

lint: install-dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

bench: install-dev
	$(BIN)/python -m bench

# Needs uv, for maintainers only: `pip install uv`.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet --upgrade \
		pyproject.toml requirements-build.in -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet --upgrade \
		pyproject.toml requirements-build.in --extra dev -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf .venv build dist

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	touch $@
