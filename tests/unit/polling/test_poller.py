"""The loop goes on, whatever goes wrong in it. No sockets here: the wallet that is read is a function of the test's."""

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
    RateLimit,
    Secret,
)
from bybit_exporter.polling import worker_pool
from bybit_exporter.polling.jobs import wallet
from bybit_exporter.polling.jobs.wallet import WalletJob
from bybit_exporter.polling.poller import Poller
from bybit_exporter.polling.transition_log import TransitionLog
from tests.support import eventually

Read = Callable[[Account], AccountSnapshot]

ONE = Decimal(1)
SNAPSHOT = AccountSnapshot(AccountStatus.NORMAL, (Balance("BTC", ONE, ONE, ONE),))


def account(name: str, interval: float = 0.02) -> Account:
    return Account(name, AccountType.SPOT, None, Secret("CANARYKEY"), Secret("CANARYSECRET"), interval, 30.0)


def answer(asked_at: float, received_at: float) -> Answer[AccountSnapshot]:
    return Answer(SNAPSHOT, {}, 0.0, 0.0, asked_at, received_at)


class Bench:
    """A poller whose reading of a wallet is `read`."""

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
        self.poller.replace(self.client, self.jobs)
        monkeypatch.setattr(wallet, "read_wallet", self._read_wallet)

    def _read_wallet(self, client: Client, account: Account, account_type: AccountType) -> Answer[AccountSnapshot]:
        assert client is self.client
        assert account_type is account.account_type
        return answer(clock.now(), clock.now()).with_result(self.read(account))

    def state(self, name: str = "main") -> AccountState:
        return next(state for state in self.store.accounts() if state.account.name == name)

    def goes_on(self, name: str = "main", polls: int = 3) -> None:
        before = self.state(name).polls
        eventually(lambda: self.state(name).polls >= before + polls)


@pytest.fixture
def events() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, events: list[Any]) -> Iterator[Bench]:
    bench = Bench(monkeypatch, account("main"), account("other"))
    bench.poller.start()
    yield bench
    bench.poller.stop(5.0)


def raising(error: Exception) -> Read:
    def read(_: Account) -> AccountSnapshot:
        raise error

    return read


def test_every_account_is_polled_again_and_again(bench: Bench) -> None:
    bench.goes_on("main")
    bench.goes_on("other")
    assert bench.state().up is True
    assert bench.state().balances == SNAPSHOT.balances


@pytest.mark.parametrize(
    "error", [ValueError("what"), KeyError("what"), MemoryError(), RecursionError(), AssertionError(), OverflowError()]
)
def test_an_exception_of_our_own_is_a_failed_poll_and_told_once_with_its_traceback(
    bench: Bench, events: list[Any], error: Exception
) -> None:
    bench.goes_on()
    bench.read = raising(error)
    eventually(lambda: bench.state().failures[FailureReason.INTERNAL] >= 5)
    bench.read = lambda _: SNAPSHOT
    eventually(lambda: bench.state().up)
    bench.poller.stop(5.0)
    told = [event for event in events if event.get("account") == "main" and event["log_level"] != "debug"]
    begun, ended = told
    assert (begun["reason"], begun["log_level"]) == ("internal", "error")
    assert begun["exc_info"] is error
    assert ended["event"] == "the account can be read again"
    assert "CANARY" not in str(events)


def test_a_log_that_cannot_be_written_stops_no_poll(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk may be full, and a pipe be closed."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    bench.goes_on()
    monkeypatch.setattr(TransitionLog, "record", full)
    monkeypatch.setattr(worker_pool, "_log", type("Full", (), {"exception": full, "error": full, "debug": full})())
    bench.goes_on()
    bench.read = raising(BybitError(NETWORK, "gone"))
    eventually(lambda: bench.state().up is False)
    eventually(lambda: bench.state().failures[FailureReason.NETWORK] >= 3)


def test_a_result_that_cannot_be_stored_stops_no_poll(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.goes_on()
    with monkeypatch.context() as patched:
        patched.setattr(Store, "apply", raising(RuntimeError("what")))
        asked = threading.Event()
        bench.read = lambda _: asked.set() or SNAPSHOT  # type: ignore[func-returns-value]
        for _ in range(3):
            asked.clear()
            assert asked.wait(5)
    bench.goes_on()


def test_a_system_that_allows_no_more_threads_stops_no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads do the work of ten accounts."""
    allowed = iter([True, True])
    honest = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("poll-") and not next(allowed, False):
            raise RuntimeError("can't start new thread")
        honest(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    names = [f"a{number}" for number in range(10)]
    bench = Bench(monkeypatch, *(account(name) for name in names))
    both = threading.Barrier(2)

    def read(_: Account) -> AccountSnapshot:
        both.wait(5)  # so that both are needed
        return SNAPSHOT

    bench.read = read
    bench.poller.start()
    for name in names:
        bench.goes_on(name, 2)
    both.abort()
    bench.poller.stop(5.0)


def test_polls_of_one_account_never_overlap_and_are_not_queued_up(bench: Bench) -> None:
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
    bench.goes_on("other", 20)
    assert bench.state().polls <= before + 3
    bench.goes_on("main", 2)
    wait.set()
    assert most == [1]


def test_a_result_is_stored_before_the_next_poll_begins(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or else the newer figures could be replaced by the older."""
    storing = threading.Event()
    overtaken: list[str] = []
    honest = Store.apply

    def apply(store: Store, result: JobResult[Any], next_run_timestamp: float) -> None:
        if result.account and result.account.name == "main":
            storing.set()
            pause.wait(0.1)
            storing.clear()
        honest(store, result, next_run_timestamp)

    def read(asked: Account) -> AccountSnapshot:
        if asked.name == "main" and storing.is_set():
            overtaken.append(asked.name)
        return SNAPSHOT

    pause = threading.Event()
    monkeypatch.setattr(Store, "apply", apply)
    bench.read = read
    bench.goes_on("main", 5)
    pause.set()
    assert overtaken == []


def test_a_figure_is_as_old_as_its_arrival(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process was stopped between the answer and the storing of it."""
    bench.poller.stop(5.0)
    arrived = clock.now() - 1000.0
    monkeypatch.setattr(wallet, "read_wallet", lambda *_: answer(arrived, arrived))
    bench.poller._run(bench.jobs[0])
    assert bench.state().balances is None
    assert bench.state().up is False
    timestamp = bench.state().last_success_timestamp
    assert timestamp is not None
    assert timestamp == pytest.approx(clock.wall() - 1000.0, abs=5.0)


def test_an_answer_that_was_long_on_its_way_is_as_old_as_the_question(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.poller.stop(5.0)
    asked = clock.now() - bench.accounts[0].stale_after_seconds - 1.0
    monkeypatch.setattr(wallet, "read_wallet", lambda *_: answer(asked, clock.now()))
    bench.poller._run(bench.jobs[0])
    assert bench.state().balances is None
    assert bench.state().up is False


@pytest.mark.parametrize(
    ("rule", "reset_in", "seconds"),
    [(REGION, 60.0, 300.0), (RATE_LIMIT, 60.0, 60.0), (RATE_LIMIT, -60.0, 0.0), (SERVER, 60.0, 0.0)],
)
def test_when_a_refused_account_is_asked_next(bench: Bench, rule: ErrorRule, reset_in: float, seconds: float) -> None:
    error = BybitError(rule, "", reset_at_ms=round((clock.wall() + reset_in) * 1000))
    error.rate_limits = {"/path": RateLimit(60, 7)}
    refuse = raising(error)
    bench.read = lambda asked: refuse(asked) if asked.name == "main" else SNAPSHOT
    eventually(lambda: bench.state().failures[rule.reason] >= 1)
    until = bench.state().next_poll_timestamp or 0.0
    assert until - clock.wall() == pytest.approx(seconds, abs=5.0)
    assert bench.state().rate_limits == {"/path": RateLimit(60, 7)}
    if seconds:
        bench.goes_on("other", 5)
        assert bench.state().failures[rule.reason] == 1
        bench.poller.release()
    eventually(lambda: bench.state().failures[rule.reason] >= 2)


def test_silence_is_for_all_and_ends_when_told(bench: Bench, events: list[Any]) -> None:
    bench.goes_on()

    def blocked(_: Account) -> AccountSnapshot:
        bench.rate_limiter.block(600.0)
        raise BybitError(IP_RATE_LIMIT, "blocked")

    bench.read = blocked
    eventually(lambda: any(state.failures[FailureReason.IP_RATE_LIMIT] for state in bench.store.accounts()))
    for name in ("main", "other"):
        eventually(lambda name=name: (bench.state(name).next_poll_timestamp or 0) > clock.wall() + 590)  # type: ignore[misc]
    bench.read = lambda _: SNAPSHOT
    (told,) = [event for event in events if "blocks this address" in event["event"]]
    assert (told["pause"], told["accounts"]) == ("10m", 2)
    bench.poller.release()
    bench.goes_on("main")
    bench.goes_on("other")


def test_polling_once_polls_each_account_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, *(account(f"a{number}") for number in range(5)))
    bench.poller.run_once(bench.jobs)
    assert [state.polls for state in bench.store.accounts()] == [1] * 5


def test_however_many_hang_somebody_takes_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, so that each time he who hangs is one of those that waited."""
    names = [f"hangs {number}" for number in range(30)]
    bench = Bench(monkeypatch, *map(account, names), account("well"))
    hanging: set[str] = set()
    go_on = threading.Event()
    before = set(threading.enumerate())

    def read(asked: Account) -> AccountSnapshot:
        if asked.name in hanging:
            go_on.wait(30.0)
        return SNAPSHOT

    bench.read = read
    bench.poller.start()
    for name in names:
        hanging.add(name)
        bench.goes_on("well", 1)
    hanging.clear()
    go_on.set()
    for name in (*names, "well"):
        bench.goes_on(name)
    workers = set(threading.enumerate()) - before
    assert len(names) < len(workers) < 2 * len(names)
    bench.poller.stop(5.0)
    eventually(lambda: not any(worker.is_alive() for worker in workers))


def test_stopping_waits_for_what_is_under_way_and_starts_nothing_more(bench: Bench) -> None:
    bench.goes_on()
    bench.poller.stop(5.0)
    before = bench.state().polls
    ended = threading.Event()
    ended.wait(0.2)
    assert bench.state().polls == before
