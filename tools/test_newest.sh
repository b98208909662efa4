#!/usr/bin/env bash
# Runs the tests of what depends most on its libraries (transport, store, web server) with the newest releases that
# pyproject.toml admits, in an environment of its own. Does nothing if those are the locked ones, which `make test` has.
set -euo pipefail
cd "$(dirname "$0")/.."
tests=(
    tests/unit/bybit/test_transport.py tests/unit/metrics/test_store.py tests/unit/web/server
    tests/integration/test_web.py tests/integration/test_tls.py tests/integration/test_misbehaving_clients.py
)

environment=build/newest
.venv/bin/python -m venv --clear "$environment"
"$environment/bin/pip" install --quiet --upgrade -r requirements-build.in
"$environment/bin/pip" install --quiet --upgrade --no-build-isolation --editable .
newer=$(comm -13 <(.venv/bin/pip freeze | sort) <("$environment/bin/pip" freeze --exclude-editable | sort))
if [ -z "$newer" ]; then
    echo "The newest releases are the locked ones."
    exit
fi
printf 'Newer than the lock:\n%s\n' "$newer"
"$environment/bin/pip" install --quiet --upgrade --no-build-isolation --editable '.[dev]'

"$environment/bin/pytest" --numprocesses=auto --dist=loadfile "${tests[@]}"
