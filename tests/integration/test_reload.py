"""A reload changes what has changed, and nothing else."""

from __future__ import annotations

import dataclasses
import itertools
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from bybit_exporter.config import Config, ConfigError
from bybit_exporter.sandbox import ASSET_INFO, UNLIMITED, Exchange, Holding, SandboxServer, faults
from bybit_exporter.web import app as web_app
from bybit_exporter.web.app import LARGE_BYTES, WebOptions, create_app
from bybit_exporter.web.server.listen import bind
from bybit_exporter.web.server.reloader import WebConfigReloader
from bybit_exporter.web.server.server import WebServer
from tests.exporter_process import ExporterProcess, HangingReads, config_for
from tests.in_process import HOLDINGS, Running, account_for
from tests.support import eventually, polls_of

SUCCESS = "bybit_exporter_config_last_reload_successful"
SUCCESS_TIME = "bybit_exporter_config_last_reload_success_timestamp_seconds"


def reconfigure(running: Running, **by_name: dict[str, Any] | None) -> None:
    """Changes accounts by name; None takes one out."""
    accounts = [
        dataclasses.replace(account, **(by_name.get(account.name) or {}))
        for account in running.config.accounts
        if by_name.get(account.name, {}) is not None
    ]
    running.config = dataclasses.replace(running.config, accounts=tuple(accounts))


def polls(running: Running, account: str = "main") -> float:
    return running.value("bybit_polls_total", account=account) or 0.0


def series_of(running: Running, account: str) -> int:
    return sum(1 for _, labels in running.samples() if ("account", account) in labels)


def test_an_account_that_did_not_change_keeps_figures_counters_and_schedule() -> None:
    with Running("main", "other", poll_interval_seconds=0.5) as running:
        main = running.main
        eventually(lambda: polls(running) >= 3)
        main.faults[ASSET_INFO] = faults.Times(1, faults.RetCode(10001))  # not for the check of the key
        eventually(lambda: running.failures("request") == 1)
        for round_ in range(3):
            reconfigure(running, other={"poll_interval_seconds": 0.5 + 0.01 * round_})
            before = polls(running)
            running.service.reload()
            assert running.value("bybit_asset_free", account="main", coin="BTC") == 1.5
            assert polls(running) >= before
            assert running.failures("request") == 1
            eventually(lambda before=before: polls(running) >= before + 2)  # type: ignore[misc]
        moments = [recorded.at for recorded in polls_of(main)]
    offsets = [(moment - moments[0]) / 0.5 for moment in moments]
    assert all(abs(offset - round(offset)) < 0.4 for offset in offsets), "still on the same grid"
    assert len({round(offset) for offset in offsets}) == len(offsets)


def test_what_is_taken_out_loses_every_series_and_is_asked_no_more() -> None:
    with Running("main", "other") as running:
        running.wait_for(1.0, "bybit_up", account="other")
        reconfigure(running, other=None)
        running.service.reload()
        assert series_of(running, "other") == 0
        assert series_of(running, "main") > 20
        time.sleep(0.3)
        asked = running.exchange.accounts["other"].request_count
        before = polls(running)
        eventually(lambda: polls(running) >= before + 5)
        assert running.exchange.accounts["other"].request_count == asked
        assert series_of(running, "other") == 0


@pytest.mark.parametrize("moves", [False, True], ids=["same base_url", "other base_url"])
def test_jobs_that_wait_for_a_low_limit_go_on_at_once_with_the_new_client(moves: bool) -> None:
    names = ("main", "other", "third")
    running, elsewhere = Running(*names, poll_interval_seconds=0.2), Exchange(limits=UNLIMITED)
    for held in running.exchange.accounts.values():
        elsewhere.add_account(held.name, HOLDINGS, api_key=held.api_key, api_secret=held.api_secret)

    def reload_with(**api: Any) -> None:
        running.config = dataclasses.replace(running.config, api=dataclasses.replace(running.config.api, **api))
        running.service.reload()

    with running, SandboxServer(elsewhere) as server:
        eventually(lambda: all(running.value("bybit_up", account=name) for name in names))
        reload_with(max_requests_per_second=0.001)
        waited_for = running.service._client.rate_limiter
        eventually(lambda: waited_for._next_at > time.clock_gettime(time.CLOCK_BOOTTIME) + 3500.0)
        reconfigure(running, third=None)
        old, third = running.exchange.request_count, running.exchange.accounts["third"].request_count
        before = {name: 0.0 if moves else polls(running, name) for name in ("main", "other")}
        reload_with(max_requests_per_second=20.0, **({"base_url": server.base_url} if moves else {}))
        eventually(lambda: all(polls(running, name) >= before[name] + 2 for name in before))
        assert running.exchange.accounts["third"].request_count == third
        assert elsewhere.accounts["third"].request_count == 0
        assert not moves or running.exchange.request_count == old


def test_what_is_added_is_polled() -> None:
    with Running() as running:
        running.wait_for(1.0, "bybit_up")
        held = running.exchange.add_account("added", HOLDINGS)
        accounts = (*running.config.accounts, account_for(held))
        running.config = dataclasses.replace(running.config, accounts=accounts)
        running.service.reload()
        running.wait_for(1.0, "bybit_up", account="added")


def test_an_account_with_another_key_shows_nothing_of_the_one_before() -> None:
    """The new key may be another account's."""
    with Running(poll_interval_seconds=60.0) as running:
        running.wait_for(1.0, "bybit_up")
        other = running.exchange.add_account("other", {"BTC": Holding("99")})
        changed = dataclasses.replace(account_for(other, poll_interval_seconds=60.0), name="main")
        running.config = dataclasses.replace(running.config, accounts=(changed,))
        hang = faults.Hang()
        other.fault = hang
        running.service.reload()
        assert running.value("bybit_asset_free", coin="BTC") is None
        assert running.value("bybit_up") is None
        hang.release()
        running.wait_for(99.0, "bybit_asset_free", coin="BTC")
        assert running.value("bybit_asset_free", coin="ETH") is None


def test_a_poll_under_way_does_not_bring_back_what_was_taken_out() -> None:
    hang = faults.Hang()
    with Running("main", "other") as running:
        other = running.exchange.accounts["other"]
        running.wait_for(1.0, "bybit_up", account="other")
        other.fault = hang
        asked = other.request_count
        eventually(lambda: other.request_count > asked)
        reconfigure(running, other=None)
        running.service.reload()
        hang.release()
        before = polls(running)
        eventually(lambda: polls(running) >= before + 3)
        assert series_of(running, "other") == 0


def test_a_poll_under_way_does_not_bring_in_old_figures_under_a_changed_account() -> None:
    hang = faults.Hang()
    with Running(poll_interval_seconds=0.2) as running:
        running.wait_for(1.0, "bybit_up")
        running.main.fault = hang
        asked = running.main.request_count
        eventually(lambda: running.main.request_count > asked)
        reconfigure(running, main={"coins": ("ETH",), "poll_interval_seconds": 60.0})
        running.service.reload()
        hang.release()
        running.wait_for(1.0, "bybit_up")
        assert running.value("bybit_asset_free", coin="BTC") is None
        assert running.value("bybit_asset_free", coin="ETH") == 11.53485
        assert running.value("bybit_poll_interval_seconds") == 60.0


def test_reload_that_changes_only_products_or_coins_replaces_the_jobs_and_drops_old_results() -> None:
    with Running("main", "other", poll_interval_seconds=60.0) as running:
        running.wait_for(1.0, "bybit_up", account="main")
        reconfigure(running, other={"poll_interval_seconds": 0.1})
        running.main.faults[ASSET_INFO] = hang = faults.Hang()
        reconfigure(running, main={"products": True})
        asked = len(polls_of(running.main))
        running.service.reload()
        running.wait_for(1.0, "bybit_products_up", account="main")
        eventually(lambda: len(polls_of(running.main)) > asked)  # the poll of the account with products hangs
        del running.main.faults[ASSET_INFO]
        reconfigure(running, main={"products": False, "coins": ("ETH",)})
        running.service.reload()
        running.wait_for(11.53485, "bybit_asset_free", account="main", coin="ETH")
        assert running.value("bybit_products_up") is None
        hang.release()
        before = polls(running, "other")
        eventually(lambda: polls(running, "other") >= before + 5)  # enough time for the old poll to end
        assert running.value("bybit_asset_free", account="main", coin="BTC") is None
        assert polls(running) == 1, "the old poll is not counted"


def test_another_exchange_is_another_truth() -> None:
    """The same keys at another base URL: the figures shown are no longer those of the exchange that is configured."""
    with Running(poll_interval_seconds=60.0) as running:
        running.wait_for(1.0, "bybit_up")
        elsewhere = Exchange(limits=UNLIMITED)
        held = running.main
        other = elsewhere.add_account("main", {"BTC": Holding("7")}, api_key=held.api_key, api_secret=held.api_secret)
        other.fault = hang = faults.Hang()
        with SandboxServer(elsewhere) as server:
            api = dataclasses.replace(running.api, base_url=server.base_url)
            running.config = dataclasses.replace(running.config, api=api)
            before = held.request_count
            running.service.reload()
            assert running.value("bybit_asset_free", coin="BTC") is None
            hang.release()
            running.wait_for(7.0, "bybit_asset_free", coin="BTC")
            assert held.request_count == before
            running.service.stop()


def test_other_settings_of_the_api_keep_the_figures() -> None:
    with Running() as running:
        running.wait_for(1.0, "bybit_up")
        for timeout in (1.0, 2.0, 3.0):
            before = polls(running)
            api = dataclasses.replace(running.config.api, timeout_seconds=timeout)
            running.config = dataclasses.replace(running.config, api=api)
            running.service.reload()
            assert running.value("bybit_asset_free", coin="BTC") == 1.5
            assert polls(running) >= before
            eventually(lambda before=before: polls(running) >= before + 2)  # type: ignore[misc]


def test_a_reload_under_polls_loses_none() -> None:
    """Every account goes on, however often the configuration is read while its polls are under way."""
    names = [f"a{number}" for number in range(10)]
    with Running(*names, poll_interval_seconds=0.05) as running:
        for held in running.exchange.accounts.values():
            held.fault = faults.Delay(0.02)
        for _ in range(50):
            running.service.reload()
            time.sleep(0.01)
        before = {name: polls(running, name) for name in names}
        eventually(lambda: all(polls(running, name) >= before[name] + 3 for name in names))
        for name in names:
            assert sum(running.failures(reason, name) for reason in ("internal", "network", "timeout")) == 0


class Overlaps:
    """Notices whether two callers are inside at the same time."""

    def __init__(self) -> None:
        self.inside = self.most = self.calls = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.calls += 1
            self.inside += 1
            self.most = max(self.most, self.inside)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.inside -= 1


def test_two_reloads_at_once_are_one_after_the_other() -> None:
    with Running() as running:
        overlaps, config = Overlaps(), running.config

        def load() -> Config:
            with overlaps:
                time.sleep(0.1)
                return config

        running.load = load
        callers = [threading.Thread(target=running.service.reload) for _ in range(5)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert (overlaps.calls, overlaps.most) == (5, 1)


@pytest.mark.parametrize(
    "fault", [ConfigError(["config.yaml: accounts: missing"]), MemoryError(), RuntimeError("CANARY"), OSError(5, "x")]
)
def test_whatever_fails_in_reading_changes_nothing(fault: Exception) -> None:
    with Running() as running:
        running.wait_for(1.0, "bybit_up")
        since = running.value(SUCCESS_TIME)

        def load() -> Config:
            raise fault

        running.load = load
        with pytest.raises(ConfigError) as failed:
            running.service.reload()
        assert "CANARY" not in str(failed.value)
        assert running.value(SUCCESS) == 0
        assert running.value(SUCCESS_TIME) == since
        before = polls(running)
        eventually(lambda: polls(running) >= before + 3)
        assert running.value("bybit_asset_free", coin="BTC") == 1.5
        running.load = lambda: running.config
        running.service.reload()
        assert running.value(SUCCESS) == 1
        assert (running.value(SUCCESS_TIME) or 0) > (since or 0)


@pytest.fixture
def exchange() -> Iterator[tuple[Exchange, SandboxServer]]:
    exchange = Exchange(limits=UNLIMITED)
    for name in ("one", "two"):
        exchange.add_account(name, HOLDINGS)
    with SandboxServer(exchange) as server:
        yield exchange, server


def reload_over_http(exporter: ExporterProcess) -> requests.Response:
    return requests.post(exporter.base_url + "/-/reload", timeout=10)


def test_broken_files_answer_500_with_the_reason_and_change_nothing(
    exchange: tuple[Exchange, SandboxServer], tmp_path: Path
) -> None:
    held, server = exchange
    good = config_for(held, server.base_url)
    with ExporterProcess(good, tmp_path, ["--web.enable-lifecycle"]) as exporter:
        exporter.wait_for(1.0, "bybit_up", account="two")
        secret = held.accounts["one"].api_secret
        broken = {
            "accounts: missing": "poll_interval: 1s\n",
            "unknown key": good.replace("accounts:", "acounts:"),
            "not valid YAML": good.replace("accounts:", "accounts: ["),
            "contains a blank": good.replace(secret, secret + " x"),
            "characters that YAML does not allow": "\0" + good,
        }
        for reason, text in broken.items():
            exporter.config_file.write_text(text)
            answer = reload_over_http(exporter)
            assert answer.status_code == 500
            assert reason in answer.text
            assert "config.yaml" in answer.text
            assert secret not in answer.text
            assert exporter.value(SUCCESS) == 0
            assert exporter.value("bybit_asset_free", account="one", coin="BTC") == 1.5
        exporter.config_file.unlink()
        assert reload_over_http(exporter).status_code == 500
        before = exporter.value("bybit_polls_total", account="two") or 0
        eventually(lambda: (exporter.value("bybit_polls_total", account="two") or 0) >= before + 2)
        exporter.config_file.write_text(good)
        answer = reload_over_http(exporter)
        assert (answer.status_code, answer.text) == (200, "reloaded\n")
        assert exporter.value(SUCCESS) == 1
        assert all(account.api_secret not in exporter.raw_log for account in held.accounts.values())
        assert all(account.api_key not in exporter.raw_log for account in held.accounts.values())


def test_a_rotated_secret_is_taken_up_from_the_same_file(
    exchange: tuple[Exchange, SandboxServer], tmp_path: Path
) -> None:
    held, server = exchange
    one = held.accounts["one"]
    secret_file, key_file = tmp_path / "secret", tmp_path / "key"
    for file, text in ((secret_file, one.api_secret), (key_file, one.api_key)):
        file.touch(0o600)
        file.write_text(text + "\n")
    config = config_for(held, server.base_url)
    config = config.replace(f'api_key: "{one.api_key}"', "api_key_file: key")
    config = config.replace(f'api_secret: "{one.api_secret}"', "api_secret_file: secret")
    with ExporterProcess(config, tmp_path) as exporter:
        exporter.wait_for(1.0, "bybit_up", account="one")
        two = exporter.value("bybit_polls_total", account="two") or 0
        held.rotate_key(one)
        exporter.wait_for(1.0, "bybit_poll_failures_total", account="one", reason="auth")
        exporter.send(signal.SIGHUP)  # still the old ones: asked at once, and not logged again
        exporter.wait_for(2.0, "bybit_poll_failures_total", account="one", reason="auth")
        assert len(list(exporter.events("the exchange refuses the key"))) == 1
        secret_file.write_text(one.api_secret)
        key_file.write_text("wrong")
        exporter.send(signal.SIGHUP)  # changed, and wrong again: that is news
        eventually(lambda: len(list(exporter.events("the exchange refuses the key"))) == 2)
        key_file.write_text(one.api_key)
        exporter.send(signal.SIGHUP)
        exporter.wait_for(1.0, "bybit_up", account="one")
        eventually(lambda: (exporter.value("bybit_polls_total", account="two") or 0) > two)


def test_many_requests_while_a_reload_hangs_delay_nothing_else_and_are_answered_after_it(
    exchange: tuple[Exchange, SandboxServer], tmp_path: Path
) -> None:
    held, server = exchange
    held.accounts["one"].holdings = {f"C{index}": Holding("1") for index in range(10_000)}  # compressed in a thread
    reads, config = HangingReads(tmp_path), config_for(held, server.base_url)
    requests_at_once = 50  # more than asyncio's threads
    with (
        ExporterProcess(config, tmp_path, ["--web.enable-lifecycle"], reads.environ) as exporter,
        ThreadPoolExecutor(requests_at_once) as clients,
    ):
        eventually(lambda: exporter.get("/-/ready").status_code == 200, 20)
        reads.start()
        answers = [clients.submit(reload_over_http, exporter) for _ in range(requests_at_once)]
        reads.wait_for_reader()
        assert exporter.get("/").status_code == 200
        assert len(exporter.get("/metrics").text) > LARGE_BYTES
        assert not any(answer.done() for answer in answers)
        reads.stop()
        assert {answer.result().status_code for answer in answers} == {200}
        assert len(list(exporter.events("configuration reloaded"))) < requests_at_once


def test_reload_that_takes_too_long_is_answered_500(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_app, "RELOAD_SECONDS", 0.1)
    with Running() as running, bind("127.0.0.1", 0) as listener:
        app = create_app(running.service.store, WebOptions(lifecycle=True), Future)  # a reload that never ends
        web = WebServer(app, [listener], lambda: None, WebConfigReloader(), 256)
        web.start()
        answer = requests.post(f"http://127.0.0.1:{listener.getsockname()[1]}/-/reload", timeout=10)
        web.stop()
    assert (answer.status_code, answer.text) == (500, "the reload has not ended within 0.1 seconds; it goes on\n")


def entries(directory: Path) -> int:
    return sum(1 for _ in directory.iterdir())


def test_a_storm_of_reloads_under_scrapes_leaks_nothing(
    exchange: tuple[Exchange, SandboxServer], tmp_path: Path
) -> None:
    """One in two changes the API's settings, so that connections are made anew."""
    held, server = exchange
    good = config_for(held, server.base_url)
    other = good.replace("api:\n", "api:\n  timeout: 7s\n")
    with ExporterProcess(good, tmp_path, ["--web.enable-lifecycle"]) as exporter:
        exporter.wait_for(1.0, "bybit_up", account="two")
        threads, descriptors = (Path(f"/proc/{exporter.process.pid}/{what}") for what in ("task", "fd"))
        stop = threading.Event()
        missing: list[str] = []

        def scrape() -> None:
            while not stop.is_set():
                if 'bybit_asset_free{account="two",account_type="SPOT",coin="BTC"} 1.5' not in exporter.exposition():
                    missing.append("a scrape without figures")

        scraper = threading.Thread(target=scrape)
        scraper.start()
        try:
            sizes = []
            for text in itertools.islice(itertools.cycle((other, good)), 100):
                exporter.config_file.write_text(text)
                assert reload_over_http(exporter).status_code == 200
                sizes.append((entries(threads), entries(descriptors)))
        finally:
            stop.set()
            scraper.join()
        assert not missing
        first, second = sizes[:50], sizes[50:]
        assert max(count for count, _ in second) <= max(count for count, _ in first) + 2
        eventually(lambda: entries(descriptors) <= max(count for _, count in sizes[:10]) + 4)
        assert list(exporter.events("the account cannot be read")) == []
