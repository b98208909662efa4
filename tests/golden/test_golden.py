"""Answer in through HTTP, exact exposition out: one folder for each case.

    answer.json    the body that the exchange sends
    config.yaml    optional: keys of the account, such as coins; account_type is SPOT if it is not there
    metrics.prom   what the account then shows; or
    error.txt      why the answer is refused as a whole

After a deliberate change, ``UPDATE_GOLDEN=1 pytest tests/golden`` writes what is expected anew. Read the difference
before it is committed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bybit_exporter import config
from bybit_exporter.bybit.client import Client
from bybit_exporter.bybit.errors import BybitError
from bybit_exporter.bybit.rate_limiter import RateLimiter
from bybit_exporter.bybit.server_clock import ServerClock
from bybit_exporter.bybit.transport import Transport
from bybit_exporter.bybit.wallets import read_wallet
from bybit_exporter.metrics.resource_families import RESOURCE_FAMILIES
from bybit_exporter.metrics.state import ExporterState
from bybit_exporter.metrics.store import Store
from bybit_exporter.model import Account
from tests.builders import make_result

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/answer.json"))
ACCOUNT = "accounts:\n- name: main\n  api_key: k\n  api_secret: s\n"
POLLED_AT = 1_672_136_539.0
INTERVAL_SECONDS = 30.0


class Exchange(HTTPServer):
    """Answers every request with the same body."""

    body = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Exchange

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("X-Bapi-Limit", "60")
        self.send_header("X-Bapi-Limit-Status", "59")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, the name in the base class
        """Writes no access log."""


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with Exchange(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()


def account(case: Path, directory: Path) -> Account:
    more = case / "config.yaml"
    lines = more.read_text().splitlines() if more.exists() else []
    if not any(line.startswith("account_type:") for line in lines):
        lines.append("account_type: SPOT")
    file = directory / "config.yaml"
    file.write_text(ACCOUNT + "".join(f"  {line}\n" for line in lines))
    return config.load(file, {}).accounts[0]


def exposition(account: Account, exchange: Exchange) -> str:
    """The families of the account after one poll of this exchange."""
    transport = Transport(exchange.url, timeout_seconds=5.0, connections=1)
    client = Client(transport, ServerClock(5.0), RateLimiter(1e6), recv_window_seconds=5.0)
    try:
        answer = read_wallet(client, account, account.account_type)
    finally:
        client.close()
    store = Store(ExporterState(True, POLLED_AT), now=lambda: POLLED_AT)
    store.replace_accounts([account])
    result = make_result(account, answer.result, POLLED_AT, ended_timestamp=POLLED_AT, rate_limits=answer.rate_limits)
    store.apply(result, next_run_timestamp=POLLED_AT + INTERVAL_SECONDS)
    whole = store.exposition().decode()
    return whole.partition(next(iter(RESOURCE_FAMILIES.values()))[0].header(openmetrics=False).decode())[0]


def outcome(case: Path, directory: Path, exchange: Exchange) -> tuple[str, str]:
    """The name of the file that is expected, and its text."""
    exchange.body = (case / "answer.json").read_bytes()
    try:
        return "metrics.prom", exposition(account(case, directory), exchange)
    except BybitError as error:
        return "error.txt", f"{error.reason}: {error}\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden(case: Path, tmp_path: Path, exchange: Exchange) -> None:
    name, text = outcome(case, tmp_path, exchange)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        for other in ("metrics.prom", "error.txt"):
            (case / other).unlink(missing_ok=True)
        (case / name).write_text(text, newline="")
    assert {path.name for path in case.iterdir()} <= {"answer.json", "config.yaml", name}
    assert text == (case / name).read_bytes().decode()
