"""Answer in, exact exposition out: one folder a case.

    answer.json    the body that the exchange sends
    config.yaml    optional: keys of the account, such as coins; account_type is SPOT if it is not there
    metrics.prom   what the account then shows; or
    error.txt      why the answer is refused as a whole

After a deliberate change, ``UPDATE_GOLDEN=1 pytest tests/golden`` writes what is expected anew. Read the difference
before it is committed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from bybit_exporter import config
from bybit_exporter.bybit.client import Client
from bybit_exporter.bybit.errors import BybitError
from bybit_exporter.bybit.rate_limiter import RateLimiter
from bybit_exporter.bybit.server_clock import ServerClock
from bybit_exporter.bybit.transport import Response, Transport
from bybit_exporter.bybit.wallets import read_wallet
from bybit_exporter.metrics.exporter_families import EXPORTER_FAMILIES
from bybit_exporter.metrics.state import ExporterState
from bybit_exporter.metrics.store import Store
from bybit_exporter.model import Account
from tests.builders import make_result

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/answer.json"))
ACCOUNT = "accounts:\n- name: main\n  api_key: k\n  api_secret: s\n"
POLLED_AT = 1_672_136_539.0
INTERVAL_SECONDS = 30.0


class Canned(Transport):
    """Answers every request with the same body."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def get(self, path: str, query: str, headers: Mapping[str, str]) -> Response:
        limits = {"X-Bapi-Limit": "60", "X-Bapi-Limit-Status": "59"}
        return Response(200, limits, self._body, received_at=POLLED_AT)


def account(case: Path, directory: Path) -> Account:
    more = case / "config.yaml"
    lines = more.read_text().splitlines() if more.exists() else []
    if not any(line.startswith("account_type:") for line in lines):
        lines.append("account_type: SPOT")
    file = directory / "config.yaml"
    file.write_text(ACCOUNT + "".join(f"  {line}\n" for line in lines))
    return config.load(file, {}).accounts[0]


def exposition(account: Account, body: bytes) -> str:
    """The families of the account after one poll that brought this answer."""
    client = Client(Canned(body), ServerClock(5.0), RateLimiter(1e6), recv_window_seconds=5.0)
    answer = read_wallet(client, account, account.account_type)
    store = Store(ExporterState(True, POLLED_AT), now=lambda: POLLED_AT)
    store.replace_accounts([account])
    result = make_result(account, answer.result, POLLED_AT, ended_timestamp=POLLED_AT, rate_limits=answer.rate_limits)
    store.apply(result, next_run_timestamp=POLLED_AT + INTERVAL_SECONDS)
    whole = store.exposition().decode()
    return whole.partition(EXPORTER_FAMILIES[0].header(openmetrics=False).decode())[0]


def outcome(case: Path, directory: Path) -> tuple[str, str]:
    """The name of the file that is expected, and its text."""
    try:
        return "metrics.prom", exposition(account(case, directory), (case / "answer.json").read_bytes())
    except BybitError as error:
        return "error.txt", f"{error.reason}: {error}\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden(case: Path, tmp_path: Path) -> None:
    name, text = outcome(case, tmp_path)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        for other in ("metrics.prom", "error.txt"):
            (case / other).unlink(missing_ok=True)
        (case / name).write_text(text, newline="")
    assert {path.name for path in case.iterdir()} <= {"answer.json", "config.yaml", name}
    assert text == (case / name).read_bytes().decode()
