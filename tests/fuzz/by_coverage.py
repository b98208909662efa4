"""The parser under atheris, which looks for inputs that reach new code: started by ``python -m tests.fuzz``."""

from __future__ import annotations

import importlib
import sys
from typing import Any

atheris: Any = importlib.import_module("atheris")  # not installed by default

with atheris.instrument_imports(include=["bybit_exporter"]):
    from tests.fuzz.properties import an_answer_gives_a_snapshot_or_a_bybit_error

STATUSES = (200, 200, 200, 200, 204, 302, 400, 401, 403, 404, 429, 500)


def test_one_input(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    status = STATUSES[provider.ConsumeIntInRange(0, len(STATUSES) - 1)]
    headers = {"X-Bapi-Limit": provider.ConsumeUnicodeNoSurrogates(6), "Retry-After": provider.ConsumeUnicode(12)}
    an_answer_gives_a_snapshot_or_a_bybit_error((status, headers, provider.ConsumeBytes(600)))


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
