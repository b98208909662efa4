"""The polling loop continues after any failure. No sockets: each test replaces the function that reads wallets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from bybit_exporter import clock
from bybit_exporter.bybit.client import Answer, Client
from bybit_exporter.bybit.errors import IP_RATE_LIMIT, NETWORK, RATE_LIMIT, REGION, SERVER, BybitError, ErrorRule
from bybit_exporter.bybit.rate_limiter import RateLimiter
from bybit_exporter.bybit.server_clock import ServerClock
from bybit_exporter.bybit.transport import Transport
from bybit_exporter.metrics.state import AccountState, ExporterState
from bybit_exporter.metrics.store import Store
from bybit_exporter.model import (
    Account,
    AccountSnapshot,
    AccountStatus,
    AccountType,
    Balance,
    FailureReason,
    JobResult,
    MarketPrices,
    RateLimit,
    Resource,
)
from bybit_exporter.polling import worker_pool
from bybit_exporter.polling.jobs import wallet
from bybit_exporter.polling.jobs.prices import PricesJob
from bybit_exporter.polling.jobs.wallet import WalletJob
from bybit_exporter.polling.poller import Poller
from bybit_exporter.polling.transition_log import TransitionLog
from tests.builders import make_account
from tests.support import eventually

Read = Callable[[Account], AccountSnapshot]

ONE = Decimal(1)
SNAPSHOT = AccountSnapshot(AccountStatus.NORMAL, (Balance("BTC", ONE, ONE, ONE),))


def account(name: str, interval: float = 0.02) -> Account:
    return make_account(name, poll_interval_seconds=interval)


def answer(asked_at: float, received_at: float) -> Answer[AccountSnapshot]:
    return Answer(SNAPSHOT, {}, asked_at, received_at)


class Bench:
    """A poller that reads wallets with the function `read`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *accounts: Account) -> None:
        self.read: Read = lambda _: SNAPSHOT
        self.accounts = accounts or (account("main"),)
        self.store = Store(ExporterState(True, 0.0))
        self.rate_limiter = RateLimiter(10_000.0)
        transport = Transport("http://127.0.0.1:9", timeout_seconds=1.0, connections=1)
        self.client = Client(transport, ServerClock(5.0), self.rate_limiter, recv_window_seconds=5.0)
        self.poller = Poller(self.store, TransitionLog())
        self.store.replace_accounts(self.accounts)
        self.jobs = [WalletJob(each) for each in self.accounts]
        self.poller.replace(self.client, self.jobs, keep=True)
        monkeypatch.setattr(wallet, "read_wallet", self._read_wallet)

    def _read_wallet(self, client: Client, account: Account, account_type: AccountType) -> Answer[AccountSnapshot]:
        assert client is self.client
        assert account_type is account.account_type
        return answer(clock.now(), clock.now()).with_result(self.read(account))

    def state(self, name: str = "main") -> AccountState:
        return next(state for state in self.store.accounts() if state.account.name == name)

    def wait_for_polls(self, name: str = "main", polls: int = 3) -> None:
        before = self.state(name).polls
        eventually(lambda: self.state(name).polls >= before + polls)


@pytest.fixture
def events() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, events: list[Any]) -> Iterator[Bench]:
    bench = Bench(monkeypatch, account("main"), account("other"))
    bench.poller.workers.start()
    yield bench
    bench.poller.workers.stop(5.0)


def raising(error: Exception) -> Read:
    def read(_: Account) -> AccountSnapshot:
        raise error

    return read


def test_every_account_is_polled_repeatedly(bench: Bench) -> None:
    bench.wait_for_polls("main")
    bench.wait_for_polls("other")
    assert bench.state().up is True
    assert bench.state().balances == SNAPSHOT.balances


@pytest.mark.parametrize(
    "error", [ValueError("what"), KeyError("what"), MemoryError(), RecursionError(), AssertionError(), OverflowError()]
)
def test_exception_in_the_exporter_is_a_failed_poll_and_logged_once(
    bench: Bench, events: list[Any], error: Exception
) -> None:
    bench.wait_for_polls()
    bench.read = raising(error)
    eventually(lambda: bench.state().failures[FailureReason.INTERNAL] >= 5)
    bench.read = lambda _: SNAPSHOT
    eventually(lambda: bench.state().up)
    bench.poller.workers.stop(5.0)
    logged = [event for event in events if event.get("account") == "main" and event["log_level"] != "debug"]
    begun, ended = logged
    assert (begun["reason"], begun["log_level"]) == ("internal", "error")
    assert begun["exc_info"] is error
    assert ended["event"] == "the account can be read again"
    assert "CANARY" not in str(events)


def test_polls_continue_if_the_log_cannot_be_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk may be full, or the pipe closed."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    bench.wait_for_polls()
    monkeypatch.setattr(TransitionLog, "record", full)
    monkeypatch.setattr(worker_pool, "_log", type("Full", (), {"exception": full, "error": full, "debug": full})())
    bench.wait_for_polls()
    bench.read = raising(BybitError(NETWORK, "gone"))
    eventually(lambda: bench.state().up is False)
    eventually(lambda: bench.state().failures[FailureReason.NETWORK] >= 3)


def test_polls_continue_if_a_result_cannot_be_stored(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.wait_for_polls()
    with monkeypatch.context() as patched:
        patched.setattr(Store, "apply", raising(RuntimeError("what")))
        asked = threading.Event()
        bench.read = lambda _: asked.set() or SNAPSHOT  # type: ignore[func-returns-value]
        for _ in range(3):
            asked.clear()
            assert asked.wait(5)
    bench.wait_for_polls()


def test_polls_continue_if_no_more_threads_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads do the work of ten accounts."""
    allowed = iter([True, True])
    original = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("poll-") and not next(allowed, False):
            raise RuntimeError("can't start new thread")
        original(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    names = [f"a{number}" for number in range(10)]
    bench = Bench(monkeypatch, *(account(name) for name in names))
    both = threading.Barrier(2)

    def read(_: Account) -> AccountSnapshot:
        both.wait(5)  # so that both are needed
        return SNAPSHOT

    bench.read = read
    bench.poller.workers.start()
    for name in names:
        bench.wait_for_polls(name, 2)
    both.abort()
    bench.poller.workers.stop(5.0)


def test_polls_of_one_account_neither_overlap_nor_queue(bench: Bench) -> None:
    inside: list[int] = [0]
    most: list[int] = [0]
    wait = threading.Event()

    def read(asked: Account) -> AccountSnapshot:
        if asked.name == "main":
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            wait.wait(0.3)
            inside[0] -= 1
        return SNAPSHOT

    bench.read = read
    before = bench.state().polls
    bench.wait_for_polls("other", 20)
    assert bench.state().polls <= before + 3
    bench.wait_for_polls("main", 2)
    wait.set()
    assert most == [1]


def test_result_is_stored_before_the_next_poll_begins(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise older figures could replace newer ones."""
    storing = threading.Event()
    overtaken: list[str] = []
    original = Store.apply

    def apply(store: Store, result: JobResult[Any], *more: Any) -> bool:
        if result.account and result.account.name == "main":
            storing.set()
            pause.wait(0.1)
            storing.clear()
        return original(store, result, *more)

    def read(asked: Account) -> AccountSnapshot:
        if asked.name == "main" and storing.is_set():
            overtaken.append(asked.name)
        return SNAPSHOT

    pause = threading.Event()
    monkeypatch.setattr(Store, "apply", apply)
    bench.read = read
    bench.wait_for_polls("main", 5)
    pause.set()
    assert overtaken == []


def test_figure_has_the_time_of_its_arrival(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process was stopped between the arrival of the answer and its storage."""
    bench.poller.workers.stop(5.0)
    arrived = clock.now() - 1000.0
    monkeypatch.setattr(wallet, "read_wallet", lambda *_: answer(arrived, arrived))
    bench.poller._run(bench.jobs[0])
    assert bench.state().balances is None
    assert bench.state().up is False
    timestamp = bench.state().last_success_timestamp
    assert timestamp is not None
    assert timestamp == pytest.approx(clock.wall() - 1000.0, abs=5.0)


@pytest.mark.parametrize(
    ("rule", "reset_in", "seconds"),
    [(REGION, 60.0, 300.0), (RATE_LIMIT, 60.0, 60.0), (RATE_LIMIT, -60.0, 0.0), (SERVER, 60.0, 0.0)],
)
def test_refused_account_is_polled_after_the_delay_of_its_rule(
    bench: Bench, rule: ErrorRule, reset_in: float, seconds: float
) -> None:
    error = BybitError(rule, "", reset_at_ms=round((clock.wall() + reset_in) * 1000))
    error.rate_limits = {"/path": RateLimit(60, 7)}
    refuse = raising(error)
    bench.read = lambda asked: refuse(asked) if asked.name == "main" else SNAPSHOT
    eventually(lambda: bench.state().failures[rule.reason] >= 1)
    until = bench.state().next_poll_timestamp or 0.0
    assert until - clock.wall() == pytest.approx(seconds, abs=5.0)
    assert bench.state().rate_limits == {"/path": RateLimit(60, 7)}
    if seconds:
        bench.wait_for_polls("other", 5)
        assert bench.state().failures[rule.reason] == 1
        bench.poller.release()
    eventually(lambda: bench.state().failures[rule.reason] >= 2)


def test_pause_is_for_all_accounts_and_ends_with_release(bench: Bench, events: list[Any]) -> None:
    bench.wait_for_polls()

    def blocked(_: Account) -> AccountSnapshot:
        bench.rate_limiter.block(600.0)
        raise BybitError(IP_RATE_LIMIT, "blocked")

    bench.read = blocked
    eventually(lambda: any(state.failures[FailureReason.IP_RATE_LIMIT] for state in bench.store.accounts()))
    for name in ("main", "other"):
        eventually(lambda name=name: (bench.state(name).next_poll_timestamp or 0) > clock.wall() + 590)  # type: ignore[misc]
    bench.read = lambda _: SNAPSHOT
    (logged,) = [event for event in events if "blocks this address" in event["event"]]
    assert (logged["pause"], logged["accounts"]) == ("10m", 2)
    bench.poller.release()
    bench.wait_for_polls("main")
    bench.wait_for_polls("other")


def test_block_that_another_job_meets_delays_that_job_until_it_ends(bench: Bench) -> None:
    asked = []

    class Reading(PricesJob):
        def read(self, client: Client) -> Answer[Any]:
            asked.append(clock.now())
            bench.rate_limiter.block(600.0)
            raise BybitError(IP_RATE_LIMIT, "blocked")

    bench.read = raising(BybitError(NETWORK, "not asked here"))
    bench.poller.replace(bench.client, [*bench.jobs, Reading(None, 0.02)], keep=True)
    eventually(lambda: asked)
    bench.wait_for_polls()
    assert len(asked) == 1
    bench.poller.release()
    eventually(lambda: len(asked) == 2)


def test_prices_of_the_exchange_before_a_reload_are_dropped(bench: Bench, events: list[Any]) -> None:
    bench.poller.workers.stop(5.0)

    class Reading(PricesJob):
        def read(self, client: Client) -> Answer[Any]:
            bench.store.replace_accounts(bench.accounts, keep=False)  # the first step of a reload
            return answer(0.0, 0.0).with_result(MarketPrices({"BTC": ONE}, frozenset({"BTC"})))

    prices = Reading(None, 60.0)
    bench.poller.replace(bench.client, [prices], keep=True)
    bench.poller._run(prices)
    assert bench.store.cached(Resource.PRICES).up is None


def test_run_once_polls_each_account_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, *(account(f"a{number}") for number in range(5)))
    bench.poller.workers.run_once(bench.jobs)
    assert [state.polls for state in bench.store.accounts()] == [1] * 5


def test_hanging_polls_do_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The polls hang one after the other, so each time a waiting worker hangs."""
    names = [f"hangs {number}" for number in range(30)]
    bench = Bench(monkeypatch, *map(account, names), account("well"))
    hanging: set[str] = set()
    release = threading.Event()
    before = set(threading.enumerate())

    def read(asked: Account) -> AccountSnapshot:
        if asked.name in hanging:
            release.wait(30.0)
        return SNAPSHOT

    bench.read = read
    bench.poller.workers.start()
    try:
        for name in names:
            hanging.add(name)
            bench.wait_for_polls("well", 1)
        hanging.clear()
        release.set()
        for name in (*names, "well"):
            bench.wait_for_polls(name)
        workers = set(threading.enumerate()) - before
        # On a busy machine, waiting workers wake late, so there are more of them.
        assert len(names) < len(workers) < 4 * len(names)
    finally:  # these threads must not affect other tests
        release.set()
        bench.poller.workers.stop(5.0)
    eventually(lambda: not any(worker.is_alive() for worker in workers))


def test_stop_waits_for_running_polls_and_starts_no_more(bench: Bench) -> None:
    bench.wait_for_polls()
    bench.poller.workers.stop(5.0)
    before = bench.state().polls
    ended = threading.Event()
    ended.wait(0.2)
    assert bench.state().polls == before
