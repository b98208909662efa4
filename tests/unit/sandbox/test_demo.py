"""The demo's accounts, and ``python -m bybit_exporter.sandbox``."""

from __future__ import annotations

import ast
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import bybit_exporter.sandbox
from bybit_exporter.sandbox import (
    ASSET_INFO,
    BANNED,
    Account,
    Exchange,
    Holding,
    SandboxServer,
)
from bybit_exporter.sandbox.demo import configuration, configuration_of, demo_exchange
from bybit_exporter.sandbox.demo.market import DECIMALS
from bybit_exporter.sandbox.demo.trading import Order, SpotBook
from tests.sandbox_client import ask
from tests.support import FakeClock

HOUR = 3600


def read(account: Account) -> None:
    assert ask(account, ASSET_INFO, "accountType=SPOT").status == 200


def history(name: str, seconds: float, every: float, seed: str = "demo") -> list[dict[str, Holding]]:
    """The holdings that a client sees which asks at that interval."""
    clock = FakeClock()
    exchange = demo_exchange(clock, seed)
    account, end, seen = exchange.accounts[name], clock.now + seconds, []
    while clock.now <= end:
        read(account)
        seen.append(dict(account.holdings))
        clock.now += every
    return seen


def amounts(holding: Holding) -> tuple[Decimal, Decimal, Decimal]:
    return Decimal(holding.free), Decimal(holding.frozen), Decimal(holding.withdraw or "0")


@pytest.mark.parametrize("name", ["trading", "treasury"])
def test_figures_follow_from_the_seed_and_the_time(name: str) -> None:
    often, seldom = history(name, HOUR, 10), history(name, HOUR, 100)
    assert often[::10] == seldom
    assert history(name, HOUR, 10, seed="another") != often


@pytest.mark.parametrize("name", ["trading", "treasury"])
def test_amounts_stay_plausible_for_a_day(name: str) -> None:
    for holdings in history(name, 24 * HOUR, 60):
        for coin, holding in holdings.items():
            assert all(amount >= 0 for amount in amounts(holding)), (coin, holding)
            assert Decimal(holding.free) > 0
            assert -Decimal(holding.free).as_tuple().exponent <= DECIMALS[coin]  # type: ignore[operator]


def test_trading_freezes_releases_and_fills() -> None:
    """Freezing and releasing keep a coin's sum; a fill changes those of exactly two coins."""
    changes: set[int] = set()
    for before, after in zip(*(history("trading", HOUR, 5)[start:] for start in (0, 1)), strict=False):
        sums = [{c: sum(amounts(h)[:2]) for c, h in holdings.items()} for holdings in (before, after)]
        changes.add(sum(sums[0][coin] != sums[1][coin] for coin in before))
    assert changes == {0, 2}


def test_filled_order_replaces_the_frozen_amount() -> None:
    account = Exchange().add_account("a", {"BTC": Holding("1", "0.5"), "USDT": Holding("10", "3")})
    SpotBook().fill(account, Order("BTC", Decimal("0.2"), "USDT", Decimal(12800)))
    assert account.holdings == {"BTC": Holding("1", "0.3"), "USDT": Holding("12810", "3")}


def test_trading_changes_from_the_first_minutes() -> None:
    seen = history("trading", 120, 5)
    assert any(Decimal(holding.frozen) for holding in seen[0].values())
    assert len({str(holdings) for holdings in seen}) > len(seen) // 2


def test_withdrawals_start_and_end() -> None:
    seen = history("treasury", HOUR, 5)
    under_way = [any(holding.withdraw for holding in holdings.values()) for holdings in seen]
    assert {True, False} <= set(under_way)
    assert any(under_way[:24]), "within two minutes a withdrawal is under way"
    assert all(h.withdraw == "" or Decimal(h.withdraw) > 0 for holdings in seen for h in holdings.values())


def test_banned_account_shows_both_kinds_of_ban_and_recovers() -> None:
    clock = FakeClock()
    exchange = demo_exchange(clock)
    account = exchange.accounts["banned-now-and-then"]
    states: list[int | str] = []
    for _ in range(2 * 540 // 10):
        read(account)
        state = account.refusal.code if account.refusal else account.status
        if states[-1:] != [state]:
            states.append(state)
        clock.now += 10
    cycle = ["ACCOUNT_STATUS_NORMAL", BANNED, "ACCOUNT_STATUS_NORMAL", 10027]
    assert states == cycle * 2


def test_catching_up_after_a_year_is_fast() -> None:
    clock = FakeClock()
    exchange = demo_exchange(clock)
    clock.now += 365 * 24 * HOUR
    started = time.monotonic()
    for account in exchange.accounts.values():
        read(account)
    assert time.monotonic() - started < 2


def test_clock_that_goes_back_repeats_no_step() -> None:
    clock = FakeClock()
    jumping, steady = (demo_exchange(clock).accounts["trading"] for _ in range(2))
    for jump in (HOUR, -2 * HOUR, HOUR):
        clock.now += jump
        read(jumping)
    clock.now += HOUR
    read(jumping)
    read(steady)
    assert jumping.holdings == steady.holdings


def test_keys_are_random_unless_given() -> None:
    one, other = demo_exchange(), demo_exchange(credentials={"trading": ("k", "s")})
    assert {a.api_key for a in one.accounts.values()}.isdisjoint(a.api_key for a in other.accounts.values())
    assert (other.accounts["trading"].api_key, other.accounts["trading"].api_secret) == ("k", "s")


def test_sandbox_imports_only_itself_and_the_standard_library() -> None:
    """Without the exporter, and without any library that has to be installed."""
    for source in Path(bybit_exporter.sandbox.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                ours = name.startswith("bybit_exporter.sandbox")
                assert ours or name.split(".")[0] in sys.stdlib_module_names, f"{source.name} imports {name}"


# --- python -m bybit_exporter.sandbox


class Program:
    """The program in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "bybit_exporter.sandbox", *arguments]
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=buffered)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def lines(self) -> Iterator[str]:
        """Its standard output while it runs."""
        assert self.process.stdout
        return iter(self.process.stdout.readline, "")

    def end(self) -> tuple[int, str, str]:
        """Exit status and what it still printed."""
        out, err = self.process.communicate(timeout=10)
        return self.process.returncode, out, err


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_program_prints_a_configuration_serves_and_ends_at_once(ending: signal.Signals) -> None:
    with Program("--listen-address", "127.0.0.1:0") as program:
        _check_and_end(program, ending)


def _check_and_end(program: Program, ending: signal.Signals) -> None:
    lines = program.lines()
    first = [next(lines) for _ in range(8)]
    assert first[0].startswith("#")
    assert "invented" in first[0]
    assert first[1:3] == ["poll_interval: 5s\n", "api:\n"]
    assert first[3].startswith('  base_url: "http://127.0.0.1:')
    assert first[4] == "accounts:\n"
    assert first[5:7] == ['  - name: "trading"\n', "    account_type: SPOT\n"]
    port = int(first[3].rstrip().rstrip('"').rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(b"GET /v5/market/time HTTP/1.1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        started = time.monotonic()
        os.kill(program.process.pid, ending)
        status, _, err = program.end()
    assert (status, err) == (0, "")
    assert time.monotonic() - started < 2


def test_configuration_is_yaml_for_any_key() -> None:
    yaml = pytest.importorskip("yaml")
    exchange = demo_exchange(credentials={"trading": ("12345678", "1e5"), "treasury": ("null", "no")})
    document = yaml.safe_load(configuration(exchange, "http://127.0.0.1:1"))
    assert document["api"] == {"base_url": "http://127.0.0.1:1"}
    assert document["accounts"][0] == {
        "name": "trading",
        "account_type": "SPOT",
        "api_key": "12345678",
        "api_secret": "1e5",
    }
    assert [entry["api_key"] for entry in document["accounts"][1:2]] == ["null"]
    assert document["accounts"] == configuration_of(exchange)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:0", ":9000", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x", "[::]:1", "example.com:80", ""],
)
def test_bad_address_is_one_line_and_status_2(address: str) -> None:
    with Program("--listen-address", address) as program:
        status, out, err = program.end()
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"--listen-address {address}:" in err


def test_address_in_use_is_one_line_and_status_1() -> None:
    with SandboxServer(Exchange()) as server, Program("--listen-address", f"127.0.0.1:{server.port}") as program:
        status, out, err = program.end()
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert f"cannot listen on 127.0.0.1:{server.port}" in err


def test_unknown_flag_is_status_2() -> None:
    with Program("--nonsense") as program:
        status, _, err = program.end()
    assert status == 2
    assert "Traceback" not in err
