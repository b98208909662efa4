"""A blocked address silences every account; a banned account is seen either way. The ten minutes are not waited for."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import pytest
import requests

from bybit_exporter.sandbox import ASSET_INFO, BANNED, TICKERS, UNLIMITED, Exchange, Refusal, SandboxServer, faults
from bybit_exporter.sandbox.messages import Fault, Response, Wire
from tests.exporter_process import ExporterProcess, config_for
from tests.in_process import HOLDINGS, JumpingClock, Running
from tests.support import eventually, polls_of

NAMES = tuple(f"a{number}" for number in range(5))

BLOCKS: dict[str, Fault] = {
    "access too frequent": faults.access_too_frequent(),
    "429": faults.too_many_requests(),
    "10018": faults.RetCode(10018),
    "10018 with 403": faults.Status(403, b'{"retCode":10018,"retMsg":"Exceeded the IP Rate Limit."}'),
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> JumpingClock:
    return JumpingClock(monkeypatch)


def all_up(running: Running) -> bool:
    return all(running.value("bybit_up", account=name) == 1 for name in running.exchange.accounts)


def block(running: Running, fault: Fault) -> None:
    """The exchange answers one request of the first account like this. Returns once everybody is silent."""
    eventually(lambda: all_up(running))
    running.main.faults[ASSET_INFO] = faults.Times(1, fault)
    eventually(lambda: running.failures("ip_rate_limit", running.main.name) == 1)
    time.sleep(0.3)  # what was under way has ended


def asked_within(running: Running, seconds: float) -> int:
    before = running.exchange.request_count
    time.sleep(seconds)
    return running.exchange.request_count - before


@pytest.mark.parametrize("fault", BLOCKS.values(), ids=BLOCKS)
def test_every_account_is_silent_and_the_metrics_say_until_when(fault: Fault) -> None:
    with Running(*NAMES) as running:
        block(running, fault)
        assert asked_within(running, 0.5) == 0
        for name in NAMES:
            until = running.value("bybit_next_poll_timestamp_seconds", account=name)
            assert until == pytest.approx(time.time() + 600, abs=5)


def test_the_pause_lasts_ten_minutes(clock: JumpingClock) -> None:
    with Running(*NAMES) as running:
        block(running, BLOCKS["access too frequent"])
        clock.jump(595.0)
        assert asked_within(running, 1.5) == 0
        clock.jump(5.0)
        eventually(lambda: all_up(running))
        assert running.failures("ip_rate_limit", running.main.name) == 1


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
def test_a_longer_retry_after_counts(clock: JumpingClock, as_date: bool) -> None:
    with Running(*NAMES) as running:
        retry_after = formatdate(time.time() + 1800, usegmt=True) if as_date else "1800"
        block(running, faults.too_many_requests(retry_after))
        until = running.value("bybit_next_poll_timestamp_seconds", account="a3")
        assert until == pytest.approx(time.time() + 1800, abs=60)
        clock.jump(1700.0)
        assert asked_within(running, 1.5) == 0


@dataclass(frozen=True)
class FaultyOnce:
    """Waits to be released, then fails in a way that may pass by itself."""

    released: threading.Event = field(default_factory=threading.Event)

    def play(self, wire: Wire, response: Response) -> None:
        self.released.wait(10)
        faults.RetCode(10016).play(wire, response)


def test_a_retry_of_what_was_under_way_is_not_sent() -> None:
    with Running(*NAMES) as running:
        eventually(lambda: all_up(running))
        under_way = FaultyOnce()
        running.exchange.accounts["a1"].fault = under_way
        time.sleep(0.5)
        block(running, faults.access_too_frequent())
        before = running.exchange.request_count
        under_way.released.set()
        eventually(lambda: running.failures("ip_rate_limit", "a1") == 1)
        assert running.exchange.request_count == before
        assert running.value("bybit_next_poll_timestamp_seconds", account="a1") > time.time() + 500  # type: ignore[operator]


def test_a_block_that_something_beside_the_polls_has_met_first_is_counted_by_one_of_them(clock: JumpingClock) -> None:
    """Or else nobody would be told why the figures end."""
    running = Running(*NAMES)
    running.exchange.faults[TICKERS] = faults.access_too_frequent()
    with running:
        eventually(lambda: any(running.failures("ip_rate_limit", name) for name in NAMES))
        before = running.exchange.request_count
        clock.jump(500.0)
        assert asked_within(running, 1.0) == 0
        assert running.exchange.request_count == before
        running.exchange.faults.clear()
        clock.jump(120.0)
        eventually(lambda: all_up(running))


def test_nothing_bursts_when_the_pause_ends(clock: JumpingClock) -> None:
    with Running(*(f"a{number}" for number in range(20)), poll_interval_seconds=2.0) as running:
        block(running, faults.access_too_frequent())
        clock.jump(598.0)
        silent = time.time()
        eventually(lambda: len(asked_since(running, silent)) >= 20, 30.0)
    moments = asked_since(running, silent)
    assert most_within(moments, 0.4) <= 10  # twice the even flow of ten a second


def test_nothing_bursts_when_a_reload_ends_the_pause() -> None:
    names = (f"a{number}" for number in range(20))
    running = Running(*names, poll_interval_seconds=60.0, api={"max_requests_per_second": 20.0})
    running.exchange.fault = faults.Times(1, faults.access_too_frequent())
    with running:
        eventually(lambda: running.failures("ip_rate_limit", "a0") == 1)
        reloaded = time.time()
        running.service.reload()
        eventually(lambda: all_up(running), 30.0)
    assert most_within(asked_since(running, reloaded), 1.0) <= 14  # half of what is permitted, and some slack


def asked_since(running: Running, since: float) -> list[float]:
    """When accounts were polled; what is read beside the polls is spread by itself."""
    polls = [recorded for recorded in running.exchange.requests if recorded.request.path == ASSET_INFO]
    return [recorded.at for recorded in polls if recorded.at >= since]


def most_within(moments: list[float], seconds: float) -> int:
    return max(sum(1 for other in moments if 0 <= other - moment < seconds) for moment in moments)


def test_who_was_never_asked_waits_too(clock: JumpingClock) -> None:
    """The very first answer blocks the address."""
    running = Running(*NAMES)
    running.exchange.fault = faults.access_too_frequent()
    with running:
        eventually(lambda: running.failures("ip_rate_limit", "a0") == 1)
        running.exchange.fault = None
        assert asked_within(running, 1.5) <= 1
        assert not running.service.store.ready
        clock.jump(600.0)
        eventually(lambda: all_up(running))


@pytest.mark.parametrize("way", ["SIGHUP", "POST"])
def test_the_operator_can_end_the_pause(way: str, tmp_path: Path) -> None:
    exchange = Exchange(limits=UNLIMITED)
    for name in NAMES:
        exchange.add_account(name, HOLDINGS)
    with (
        SandboxServer(exchange) as server,
        ExporterProcess(config_for(exchange, server.base_url), tmp_path, ["--web.enable-lifecycle"]) as exporter,
    ):
        eventually(lambda: exporter.get("/-/ready").status_code == 200, 20.0)
        exchange.fault = faults.Times(1, faults.access_too_frequent())
        eventually(lambda: list(exporter.events("the exchange blocks this address: all requests are paused")))
        (told,) = exporter.events("the exchange blocks this address: all requests are paused")
        assert (told["level"], told["pause"]) == ("error", "10m")
        time.sleep(0.2)
        before = exchange.request_count
        time.sleep(1.5)
        assert exchange.request_count == before
        if way == "SIGHUP":
            exporter.send(signal.SIGHUP)
        else:
            assert requests.post(exporter.base_url + "/-/reload", timeout=5).status_code == 200
        eventually(lambda: all(exporter.value("bybit_up", account=name) == 1 for name in NAMES))
        assert exchange.request_count > before


def test_a_broken_file_does_not_end_the_pause(tmp_path: Path) -> None:
    exchange = Exchange(limits=UNLIMITED)
    exchange.add_account("main", HOLDINGS)
    with (
        SandboxServer(exchange) as server,
        ExporterProcess(config_for(exchange, server.base_url), tmp_path) as exporter,
    ):
        exporter.wait_for(1.0, "bybit_up")
        exchange.fault = faults.access_too_frequent()
        exporter.wait_for(1.0, "bybit_poll_failures_total", reason="ip_rate_limit")
        exporter.config_file.write_text("nonsense")
        exporter.send(signal.SIGHUP)
        exporter.wait_for(0.0, "bybit_exporter_config_last_reload_successful")
        before = exchange.request_count
        time.sleep(1.5)
        assert exchange.request_count == before


def test_an_account_banned_by_status_is_read_on() -> None:
    with Running() as running:
        running.main.status = BANNED
        running.wait_for(1.0, "bybit_account_status", status="banned")
        assert running.value("bybit_up") == 1
        assert running.value("bybit_asset_free", coin="BTC") == 1.5
        running.main.status = "ACCOUNT_STATUS_NORMAL"
        running.wait_for(0.0, "bybit_account_status", status="banned")


def test_a_ban_told_by_refusal_survives_the_balances() -> None:
    with Running(stale_after_seconds=0.8) as running:
        running.wait_for(1.0, "bybit_up")
        running.main.refusal = Refusal(10027)
        running.wait_for(1.0, "bybit_account_status", status="banned")
        running.wait_for(None, "bybit_asset_free", coin="BTC")
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            assert running.value("bybit_account_status", status="banned") == 1
            assert running.value("bybit_account_status", status="normal") == 0
            assert running.value("bybit_asset_free", coin="BTC") is None
            assert running.value("bybit_up") == 0
        running.main.refusal = None
        running.wait_for(1.0, "bybit_account_status", status="normal")
        assert running.value("bybit_up") == 1


def test_a_ban_that_is_not_repeated_ages_like_any_status() -> None:
    with Running(stale_after_seconds=0.8) as running:
        running.main.refusal = Refusal(10027)
        running.wait_for(1.0, "bybit_account_status", status="banned")
        running.main.fault = faults.Status(500)
        running.wait_for(None, "bybit_account_status", status="banned")
        assert running.value("bybit_up") == 0


def test_an_account_that_is_banned_from_the_start() -> None:
    running = Running()
    running.main.refusal = Refusal(10027)
    with running:
        running.wait_for(1.0, "bybit_account_status", status="banned")
        assert running.value("bybit_up") == 0
        assert running.value("bybit_asset_free", coin="BTC") is None
        before = len(polls_of(running.main))
        eventually(lambda: len(polls_of(running.main)) >= before + 5)
    asked = [recorded.at for recorded in polls_of(running.main)]
    assert all(later - earlier < 2.0 for earlier, later in itertools.pairwise(asked))
