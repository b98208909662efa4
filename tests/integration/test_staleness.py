"""An old figure is never shown as if it were current: not after a stop, a sleep or a restart."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from bybit_exporter.sandbox import UNLIMITED, Account, Exchange, Holding, SandboxServer, faults
from tests.exporter_process import ExporterProcess, config_for
from tests.in_process import JumpingClock, Running
from tests.support import eventually

OLD, NEW = {"BTC": Holding("1.25")}, {"BTC": Holding("7.5")}
STALE_AFTER = 2.0
CONFIG = "poll_interval: 1s\nstale_after: 2s"


def an_account() -> Account:
    return Exchange(limits=UNLIMITED).add_account("main", OLD)


def free(exposition: str) -> list[str]:
    return re.findall(r"^bybit_asset_free\{.*\} (\S+)$", exposition, re.MULTILINE)


def test_figures_and_status_go_exactly_when_they_are_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock(monkeypatch)
    with Running(poll_interval_seconds=60.0, stale_after_seconds=100.0) as running:
        running.wait_for(1.0, "bybit_up")
        running.main.fault = faults.Reset()
        clock.jump(98.0)
        eventually(lambda: running.failures("network") == 1)
        assert running.value("bybit_asset_free", coin="BTC") == 1.5
        assert running.value("bybit_account_status", status="normal") == 1
        polls = running.value("bybit_polls_total")
        clock.jump(2.0)
        for name in ("bybit_asset_free", "bybit_asset_frozen", "bybit_asset_withdrawing"):
            assert running.value(name, coin="BTC") is None
        assert running.value("bybit_account_status", status="normal") is None
        assert running.value("bybit_up") == 0
        assert running.value("bybit_polls_total") == polls
        assert running.failures("network") == 1
        assert running.value("bybit_last_success_timestamp_seconds") is not None


def test_what_is_stale_is_not_up_even_if_its_latest_poll_succeeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """While an address is blocked nobody fails, since nobody is asked."""
    clock = JumpingClock(monkeypatch)
    running = Running("blocked", "silenced", poll_interval_seconds=60.0, stale_after_seconds=180.0)
    often, seldom = running.config.accounts
    often = dataclasses.replace(often, poll_interval_seconds=0.2)
    running.config = dataclasses.replace(running.config, accounts=(often, seldom))
    running.service.reload()
    with running:
        running.wait_for(1.0, "bybit_up", account="silenced")
        running.main.fault = faults.access_too_frequent()
        eventually(lambda: running.failures("ip_rate_limit", "blocked") == 1)
        clock.jump(179.0)
        assert running.value("bybit_up", account="silenced") == 1
        clock.jump(10.0)
        assert running.value("bybit_up", account="silenced") == 0
        assert running.value("bybit_asset_free", account="silenced", coin="BTC") is None
        assert running.failures("ip_rate_limit", "silenced") == 0


def test_a_machine_that_slept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first exposition after the sleep is asked for before anything else can happen."""
    clock = JumpingClock(monkeypatch)
    with Running(stale_after_seconds=5.0) as running:
        running.wait_for(1.0, "bybit_up")
        running.main.fault = faults.Hang()
        clock.jump(8 * 3600.0)
        assert running.value("bybit_asset_free", coin="BTC") is None
        assert running.value("bybit_up") == 0
        running.main.fault = None
        running.wait_for(1.0, "bybit_up")


def test_a_killed_process_starts_without_figures(tmp_path: Path) -> None:
    account = an_account()
    with SandboxServer(account.exchange) as server:
        config = config_for(account.exchange, server.base_url, CONFIG)
        with ExporterProcess(config, tmp_path) as exporter:
            exporter.wait_for(1.25, "bybit_asset_free")
            exporter.send(signal.SIGKILL)
            exporter.ends_with(-signal.SIGKILL, 5.0)
        account.fault = hang = faults.Hang()
        account.holdings = NEW
        with ExporterProcess(config, tmp_path) as exporter:
            assert free(exporter.exposition()) == []
            assert exporter.value("bybit_up") is None
            assert exporter.get("/-/ready").status_code == 503
            hang.release()
            exporter.wait_for(7.5, "bybit_asset_free")


class Waiting:
    """Scrapes that are asked for while the process is stopped, and answered first of all when it goes on."""

    def __init__(self, exporter: ExporterProcess, count: int = 3) -> None:
        self.expositions: list[str] = []
        ask = lambda: self.expositions.append(exporter.exposition())  # noqa: E731
        self._threads = [threading.Thread(target=ask) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def ended(self) -> list[str]:
        for thread in self._threads:
            thread.join(10)
        return self.expositions


def stopped(exporter: ExporterProcess) -> bool:
    return Path(f"/proc/{exporter.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize("afterwards", ["hangs", "answers"])
def test_a_process_that_was_stopped_longer_than_figures_last(afterwards: str, tmp_path: Path) -> None:
    account = an_account()
    with (
        SandboxServer(account.exchange) as server,
        ExporterProcess(config_for(account.exchange, server.base_url, CONFIG), tmp_path) as exporter,
    ):
        exporter.wait_for(1.25, "bybit_asset_free")
        exporter.send(signal.SIGSTOP)
        eventually(lambda: stopped(exporter))
        account.holdings = NEW
        account.fault = faults.Hang() if afterwards == "hangs" else None
        waiting = Waiting(exporter)
        time.sleep(STALE_AFTER + 0.5)
        exporter.send(signal.SIGCONT)
        for exposition in waiting.ended():
            assert free(exposition) in ([], ["7.5"])
            assert "bybit_polls_total" in exposition
        if afterwards == "answers":
            exporter.wait_for(7.5, "bybit_asset_free")


def test_an_answer_that_arrived_while_the_process_was_stopped_is_not_news(tmp_path: Path) -> None:
    """It lies in the socket for longer than figures last, and is read as soon as the process goes on."""
    account = an_account()
    config_top = CONFIG + "\n"
    with SandboxServer(account.exchange) as server:
        config = config_for(account.exchange, server.base_url, config_top).replace("api:\n", "api:\n  timeout: 2s\n")
        with ExporterProcess(config, tmp_path) as exporter:
            exporter.wait_for(1.25, "bybit_asset_free")
            account.fault = late = faults.Hang()
            asked = account.request_count
            eventually(lambda: account.request_count > asked)
            exporter.send(signal.SIGSTOP)
            eventually(lambda: stopped(exporter))
            late.release()
            time.sleep(0.3)
            account.fault, account.holdings = faults.Hang(), NEW
            time.sleep(STALE_AFTER + 0.5)
            waiting = Waiting(exporter)
            exporter.send(signal.SIGCONT)
            assert [free(exposition) for exposition in waiting.ended()] == [[], [], []]
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                assert free(exporter.exposition()) == []


def test_stopping_at_any_moment_shows_nothing_old(tmp_path: Path) -> None:
    """The exchange counts up; whatever is shown after a stop was served after the stop had begun to be long."""
    account = an_account()

    def count(held: Account, now: float) -> None:
        held.holdings = {"BTC": Holding(f"{now:.3f}")}

    account.behaviour = count
    with (
        SandboxServer(account.exchange) as server,
        ExporterProcess(config_for(account.exchange, server.base_url, CONFIG), tmp_path) as exporter,
    ):
        exporter.wait_for(1.0, "bybit_up")
        for moment in range(3):
            time.sleep(0.27 * moment)
            os.kill(exporter.process.pid, signal.SIGSTOP)
            waiting = Waiting(exporter)
            time.sleep(STALE_AFTER + 0.3)
            os.kill(exporter.process.pid, signal.SIGCONT)
            for exposition in waiting.ended():
                scraped = time.time()
                for figure in free(exposition):
                    assert scraped - float(figure) < STALE_AFTER + 0.5
