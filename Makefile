# `make run` and `make test` install what they need into .venv first; neither asks for root.

PYTHON ?= python3
BIN := .venv/bin
SOURCES := exporter.py bybit_exporter tests bench deploy grafana mixin tools

export BYBIT_EXPORTER_REVISION ?= $(shell git rev-parse --short HEAD 2>/dev/null || true)

.PHONY: install install-dev run test test-newest lint bench simulation dashboard-pictures fuzz soak image image-test
.PHONY: mixin manifests lock dist release-check clean

install: .venv/installed
install-dev: .venv/installed-dev

# `make run FLAGS=--web.listen-address=127.0.0.1:9999` adds flags.
run: install
	@if [ -e config.yaml ]; then \
		echo "Running with config.yaml."; exec $(BIN)/python exporter.py $(FLAGS); \
	else \
		echo "There is no config.yaml: running the demo, whose figures are invented. See config.example.yaml."; \
		exec $(BIN)/python exporter.py --demo $(FLAGS); \
	fi

# One process more than there are cores, since many tests wait. Each file stays in one process, since its tests share
# exporters and exchanges. The files with real programs, which take longest, come first; what compares times comes last.
WORKERS ?= $(shell expr $$(nproc) + 1)

test: lint
	@echo "About 5,200 tests in $(WORKERS) processes: eight minutes on two quiet cores."
	@$(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder -m "not alone"; status=$$?; \
		$(BIN)/pytest -m alone && exit $$status

# What depends most on its libraries, with the newest releases that pyproject.toml admits.
test-newest: install-dev
	tools/test_newest.sh

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

# Takes ten minutes. Memory as in the image and the systemd unit.
soak: install-dev
	MALLOC_ARENA_MAX=1 $(BIN)/python -m bench.soak

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

# The alerts, also as an object for the Prometheus operator, and the dashboards, from mixin/ and grafana/; then the
# tables of the documents.
mixin: install-dev
	$(BIN)/python -m mixin
	$(BIN)/python -m tools

manifests: mixin

# Needs uv, for maintainers only: `pip install uv`. `make lock UPGRADE=--upgrade` takes the newest releases; without it,
# what is locked stays as long as pyproject.toml admits it.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet $(UPGRADE) \
		pyproject.toml requirements-build.in -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet $(UPGRADE) \
		pyproject.toml requirements-build.in --extra dev -c requirements.lock -o requirements-dev.lock

# The wheel and the source archive of the last commit: git archive writes the revision into them.
dist: install-dev
	git diff --quiet HEAD || echo "There are changes that are not committed: they are left out." >&2
	rm -rf dist build/dist && mkdir -p build/dist
	git archive HEAD | tar --extract --directory build/dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --no-isolation --outdir dist build/dist
	chmod 644 dist/* && cd dist && sha256sum *.whl *.tar.gz >SHA256SUMS

# Installs the wheel for each supported Python that this machine has, and tries it.
release-check: dist
	$(BIN)/python -m tools.release_check

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
