"""The exporter end to end: a process that polls the embedded exchange over HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from bybit_exporter.metrics.account_families import ACCOUNT_FAMILIES
from bybit_exporter.metrics.exporter_families import EXPORTER_FAMILIES
from bybit_exporter.sandbox import (
    ASSET_INFO,
    BANNED,
    NORMAL,
    UNLIMITED,
    Account,
    Exchange,
    Holding,
    Response,
    SandboxServer,
    Ticker,
    faults,
)
from bybit_exporter.sandbox.messages import Recorded, Wire
from tests.exporter_process import ExporterProcess, config_for
from tests.support import bybit_headers, eventually, polls_of


@pytest.fixture
def exchange() -> Exchange:
    exchange = Exchange(limits=UNLIMITED)
    exchange.tickers.update({"ETHUSDT": Ticker("3100")})
    return exchange


@pytest.fixture
def main(exchange: Exchange) -> Account:
    return exchange.add_account("main", {"ETH": Holding("11.53485"), "BTC": Holding("0.5", "0.25", "0.125")})


@pytest.fixture
def server(exchange: Exchange) -> Iterator[SandboxServer]:
    with SandboxServer(exchange) as server:
        yield server


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


def exporter(
    server: SandboxServer, directory: Path, account: str = "", top: str = "poll_interval: 1s"
) -> ExporterProcess:
    return ExporterProcess(config_for(server.exchange, server.base_url, top, account), directory)


def with_line(config: str, account: Account, line: str) -> str:
    """The configuration with a line more for one account."""
    first = f'- name: "{account.name}"'
    assert first in config
    return config.replace(first, f"{first}\n    {line}")


# Figures


def test_the_documentation_s_own_answer(server: SandboxServer, main: Account, directory: Path) -> None:
    main.holdings = {"ETH": Holding("11.53485", "0", "")}
    with exporter(server, directory, "coins: [ETH]") as running:
        running.wait_for(1, "bybit_up")
        exposition = running.exposition().splitlines()
    labels = 'account="main",account_type="SPOT"'
    assert f'bybit_asset_free{{{labels},coin="ETH"}} 11.53485' in exposition
    assert f'bybit_asset_frozen{{{labels},coin="ETH"}} 0.0' in exposition
    assert f'bybit_asset_withdrawing{{{labels},coin="ETH"}} 0.0' in exposition
    statuses = [line for line in exposition if line.startswith("bybit_account_status{")]
    assert statuses == [
        f'bybit_account_status{{{labels},status="{status}"}} {value}'
        for status, value in (("normal", "1.0"), ("banned", "0.0"), ("unknown", "0.0"))
    ]


def test_the_status_follows_the_exchange(server: SandboxServer, main: Account, directory: Path) -> None:
    with exporter(server, directory) as running:
        for word, status in (
            (NORMAL, "normal"),
            (BANNED, "banned"),
            ("ACCOUNT_STATUS_FROZEN", "unknown"),
            (NORMAL, "normal"),
        ):
            main.status = word
            running.wait_for(1, "bybit_account_status", status=status)
            assert (
                sum(
                    running.value("bybit_account_status", status=other) or 0
                    for other in ("normal", "banned", "unknown")
                )
                == 1
            )
            assert running.value("bybit_up") == 1
        raw = [event.get("exchange_status") for event in running.events("the exchange reports an undocumented status")]
        assert raw == ['"ACCOUNT_STATUS_FROZEN"']


def test_every_metric_is_there(server: SandboxServer, main: Account, directory: Path) -> None:
    with exporter(server, directory) as running:
        running.wait_for(1, "bybit_up")
        eventually(lambda: running.value("bybit_asset_usd_value", coin="ETH"), 20)
        names = {name for name, _ in running.samples()}
    of_spot = {family.name for family in ACCOUNT_FAMILIES if not is_of_other_wallets(family.name)}
    assert len(of_spot) > 10
    assert of_spot <= names
    assert {family.name for family in EXPORTER_FAMILIES} <= names
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"} <= names


def is_of_other_wallets(name: str) -> bool:
    kinds = ("equity", "borrowed", "accrued_interest", "unrealised_pnl", "initial_margin", "maintenance_margin")
    of_account = name.startswith("bybit_account_") and name != "bybit_account_status"
    return of_account or name == "bybit_withdrawals_up" or name in {f"bybit_asset_{kind}" for kind in kinds}


def test_before_the_first_poll_has_ended_nothing_is_claimed(
    server: SandboxServer, main: Account, directory: Path
) -> None:
    hang = faults.Hang()
    main.fault = hang
    with exporter(server, directory) as running:
        eventually(lambda: main.request_count, 10)
        assert running.get("/-/ready").status_code == 503
        assert running.value("bybit_up") is None
        assert running.value("bybit_asset_free", coin="ETH") is None
        assert running.value("bybit_polls_total") == 0
        assert running.value("bybit_poll_failures_total", reason="network") == 0
        hang.release()
        running.wait_for(1, "bybit_up")
        assert running.get("/-/ready").status_code == 200


def test_timestamps_are_of_now(server: SandboxServer, main: Account, directory: Path) -> None:
    with exporter(server, directory, "poll_interval: 2s") as running:
        running.wait_for(1, "bybit_up")
        assert abs((running.value("bybit_last_success_timestamp_seconds") or 0) - time.time()) < 30
        assert 0 < (running.value("bybit_poll_duration_seconds") or 0) < 10
        assert running.value("bybit_poll_interval_seconds") == 2
        assert abs((running.value("bybit_next_poll_timestamp_seconds") or 0) - time.time()) < 30
        assert abs(running.value("bybit_api_clock_offset_seconds") or 0) < 5
        assert (
            abs((running.value("bybit_exporter_config_last_reload_success_timestamp_seconds") or 0) - time.time()) < 60
        )


def test_a_coin_that_is_not_listed_any_more(server: SandboxServer, main: Account, directory: Path) -> None:
    """Among all coins it is gone; a configured one is 0, for an alert on a low balance must have a series."""
    configured = server.exchange.add_account("configured", main.holdings)
    config = with_line(config_for(server.exchange, server.base_url), configured, "coins: [BTC, ETH, ETHH]")
    with ExporterProcess(config, directory) as running:
        running.wait_for(11.53485, "bybit_asset_free", account="main", coin="ETH")
        running.wait_for(11.53485, "bybit_asset_free", account="configured", coin="ETH")
        for account in server.exchange.accounts.values():
            account.update({"ETH": None})
        running.wait_for(None, "bybit_asset_free", account="main", coin="ETH")
        running.wait_for(0, "bybit_asset_free", account="configured", coin="ETH")
        for name in ("bybit_asset_frozen", "bybit_asset_withdrawing"):
            assert running.value(name, account="configured", coin="ETH") == 0
            assert running.value(name, account="main", coin="ETH") is None
        assert running.value("bybit_asset_free", account="main", coin="BTC") == 0.5
        polls = running.value("bybit_polls_total", account="configured") or 0
        eventually(lambda: (running.value("bybit_polls_total", account="configured") or 0) > polls + 1, 20)
        unknown = [event for event in running.log if "does not know this coin" in event["msg"]]
        assert [(event["account"], event["coin"]) for event in unknown] == [("configured", "ETHH")]


# Requests


def test_one_signed_request_a_poll_however_many_coins_over_kept_connections(
    server: SandboxServer, main: Account, directory: Path
) -> None:
    few, many = (server.exchange.add_account(name, main.holdings) for name in ("few", "many"))
    config = config_for(server.exchange, server.base_url)
    config = with_line(with_line(config, few, "coins: [ETH]"), many, "coins: [ETH, BTC, USDT, XRP, SOL]")
    with ExporterProcess(config, directory) as running:
        eventually(lambda: all(len(polls_of(account)) >= 4 for account in (main, few, many)), 20)
        asked = {account.name: polls_of(account) for account in (main, few, many)}
        polls = {name: running.value("bybit_polls_total", account=name) or 0 for name in asked}
    assert server.accepted_connections <= 4, "one for each account, and for what is read beside"
    for account in (main, few, many):
        assert 4 <= len(asked[account.name]) <= polls[account.name] + 1
        for recorded in asked[account.name]:
            query = "accountType=SPOT&coin=ETH" if account is few else "accountType=SPOT"
            assert_honest(recorded, account, query)


def assert_honest(recorded: Recorded, account: Account, query: str) -> None:
    """A GET without a body, whose signature fits the very query that arrived."""
    request = recorded.request
    assert (request.method, request.path, request.query, request.body) == ("GET", ASSET_INFO, query, b"")
    assert not {"content-length", "content-type", "transfer-encoding", "cookie"} & set(request.headers)
    stamp = int(request.headers["x-bapi-timestamp"]) / 1000
    signed = bybit_headers(account.api_key, account.api_secret, request.query, stamp)
    assert {name: request.headers[name.lower()] for name in signed} == signed
    assert abs(stamp - recorded.at) < 5


def test_no_redirect_is_followed(server: SandboxServer, main: Account, directory: Path) -> None:
    """The headers carry the key: whoever is redirected to would have it."""
    with SandboxServer(Exchange()) as elsewhere:
        main.fault = faults.redirect(f"{elsewhere.base_url}{ASSET_INFO}?accountType=SPOT")
        with exporter(server, directory) as running:
            running.wait_for(0, "bybit_up")
            assert running.value("bybit_poll_failures_total", reason="malformed") >= 1  # type: ignore[operator]
            assert running.value("bybit_asset_free", coin="ETH") is None
        assert elsewhere.accepted_connections == 0


# Time


def test_accounts_do_not_wait_for_one_another(server: SandboxServer, main: Account, directory: Path) -> None:
    """One hangs for as long as it may, the others keep their rhythm."""
    others = [server.exchange.add_account(f"a{index}", {"BTC": Holding("1")}) for index in range(3)]
    with exporter(server, directory) as running:
        eventually(lambda: all(len(polls_of(account)) for account in (main, *others)), 20)
        running.wait_for(1, "bybit_api_key_up", account="main")
        main.fault = faults.Hang()
        before = len(polls_of(main))
        eventually(lambda: len(polls_of(main)) > before, 20)
        counts = [len(polls_of(other)) for other in others]
        hanging = len(polls_of(main))
        eventually(lambda: all(len(polls_of(o)) >= n + 3 for o, n in zip(others, counts, strict=True)), 20)
        assert len(polls_of(main)) == hanging
        assert all(running.value("bybit_up", account=other.name) == 1 for other in others)


@dataclass
class Overlap:
    """The honest answer, late; remembers how many requests were waiting for one at the same time."""

    seconds: float
    most: int = 0
    _waiting: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def play(self, wire: Wire, response: Response) -> None:
        with self._lock:
            self._waiting += 1
            self.most = max(self.most, self._waiting)
        wire.pause(self.seconds)
        with self._lock:
            self._waiting -= 1
        wire.respond(response)


def test_a_poll_is_skipped_while_the_previous_one_runs(server: SandboxServer, main: Account, directory: Path) -> None:
    main.faults[ASSET_INFO] = slow = Overlap(1.5)
    with exporter(server, directory):
        eventually(lambda: len(polls_of(main)) >= 3, 20)
        times = [recorded.at for recorded in polls_of(main)]
    assert slow.most == 1
    assert all(later - earlier > 1.5 for earlier, later in pairwise(times))
    main.faults.clear()


def test_poll_times_do_not_drift_and_accounts_are_spread(server: SandboxServer, main: Account, directory: Path) -> None:
    """Each poll takes a quarter of the interval; were that added, the sixth would be a second late."""
    accounts = [main, *(server.exchange.add_account(f"a{index}", {"BTC": Holding("1")}) for index in range(3))]
    server.exchange.fault = faults.Delay(0.25)
    with exporter(server, directory):
        eventually(lambda: all(len(polls_of(account)) >= 6 for account in accounts), 30)
    times = [[recorded.at for recorded in polls_of(account)][:6] for account in accounts]
    for of_account in times:
        assert of_account[5] - of_account[1] == pytest.approx(4.0, abs=0.5)
    seconds = sorted(of_account[2] % 1.0 for of_account in times)
    gaps = [later - earlier for earlier, later in pairwise([*seconds, seconds[0] + 1.0])]
    assert min(gaps) > 0.05, "they burst together"
