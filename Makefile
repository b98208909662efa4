# `make run` and `make test` install what they need into .venv first; neither asks for root.

PYTHON ?= python3
BIN := .venv/bin
SOURCES := exporter.py bybit_exporter tests bench deploy grafana mixin tools

export BYBIT_EXPORTER_REVISION ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)

.PHONY: install install-dev run test lint bench simulation dashboard-pictures fuzz soak image image-test mixin manifests
.PHONY: lock clean

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

# Takes the pictures in docs/images: the demo runs for a quarter of an hour, scraped by a real Prometheus. Needs
# prometheus, chromium, node and npm. `make dashboard-pictures MINUTES=60` for a longer time range.
MINUTES ?= 15

dashboard-pictures: install-dev
	npm ci --prefix tests/node --no-audit --no-fund
	npm ci --prefix tests/grafana-ui --no-audit --no-fund
	$(BIN)/python -m tests.browser.dashboard_pictures --minutes $(MINUTES)

# Takes about four minutes: four shards, 5,000 accounts, an exchange that limits each address.
simulation: install-dev
	$(BIN)/python -m bench.simulation

# Takes a few minutes. `pip install atheris` into .venv for the part that looks for new paths through the parser.
fuzz: install-dev
	$(BIN)/python -m tests.fuzz

# Takes ten minutes.
soak: install-dev
	$(BIN)/python -m bench.soak

# `make image ENGINE=podman` with podman, whose own image format knows no health check.
ENGINE ?= docker

image:
	BUILDAH_FORMAT=docker $(ENGINE) build --tag bybit-exporter \
		--build-arg VERSION="$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' bybit_exporter/__init__.py)" \
		--build-arg REVISION="$(BYBIT_EXPORTER_REVISION)" --build-arg CREATED="$$(date -u +%Y-%m-%dT%H:%M:%SZ)" .

# Needs root, buildah, debootstrap, runc and systemd-container; neither an engine nor a registry.
image-test: install-dev
	tests/image/build.sh build/image
	$(BIN)/pytest tests/image/check_image.py tests/image/check_systemd.py

# The alerts, also as an object for the Prometheus operator, and the dashboards, from mixin/ and grafana/.
mixin: install-dev
	$(BIN)/python -m mixin
	$(BIN)/python -m tools.alerts

manifests: mixin

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
