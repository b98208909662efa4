"""What is asked of whom and when, by arithmetic: the exchange is a function, and the clock a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from bybit_exporter import clock
from bybit_exporter.bybit.client import Answer, Client
from bybit_exporter.bybit.errors import NETWORK, RATE_LIMIT, SLOW_RETRY_SECONDS, BybitError, rule_for_ret_code
from bybit_exporter.metrics.families import Resource
from bybit_exporter.metrics.state import Cached, ExporterState
from bybit_exporter.metrics.store import Store
from bybit_exporter.model import Account, AccountType, Balance, RateLimit, Secret, Subaccount, SubaccountStatus
from bybit_exporter.polling import jobs as tasks
from bybit_exporter.polling.jobs import BESIDE_SECONDS, Desk, SubaccountBalances, Subaccounts, Turn, tasks_of
from bybit_exporter.polling.transition_log import TransitionLog
from tests.support import FakeClock

MASTER = Account("master", AccountType.UNIFIED, None, Secret("k"), Secret("s"), 10.0, 30.0, True, True)
COINS_BALANCE = "/v5/asset/transfer/query-account-coins-balance"


class Round:
    """The balances of subaccounts, asked turn by turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *members: str) -> None:
        self.clock = FakeClock(1000.0)
        monkeypatch.setattr(clock, "now", self.clock)
        monkeypatch.setattr(tasks, "read_subaccount_balances", self._read)
        self.store = Store(ExporterState(True, 0.0), self.clock)
        self.store.replace_accounts([MASTER])
        self.asked: list[str] = []
        self.remaining = 4
        self.fails: dict[str, BybitError] = {}
        self.task = SubaccountBalances(MASTER, 0.4, Desk(self.store, TransitionLog()))
        self.are_there(*members)

    def are_there(self, *members: str) -> None:
        listed = [Subaccount(name, name, SubaccountStatus.NORMAL, "1") for name in members]
        known = Cached(listed, self.clock.now, 1e9, up=True)
        self.store.put(Resource.SUBACCOUNTS, MASTER, lambda _: known)

    def _read(self, _: Client, account: Account, uid: str) -> Answer[Sequence[Balance]]:
        self.asked.append(uid)
        if uid in self.fails:
            raise self.fails[uid]
        limits = {COINS_BALANCE: RateLimit(5, self.remaining)}
        return Answer((), limits, 0.0, 0.0, self.clock.now, self.clock.now)

    def turn(self) -> float:
        """One turn; how long nothing is asked after it."""
        outcome: Any
        try:
            outcome = self.task.ask(None)  # type: ignore[arg-type]  # the exchange is a function
        except BybitError as error:
            outcome = error
        if outcome is not None:
            self.task.take_in(outcome, Turn(self.clock.now, self.clock.now, 0.0, 0.0, 0.0))
        return self.task.wait_seconds(outcome, 0.0)


@pytest.fixture
def a_round(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Round]:
    return lambda *members: Round(monkeypatch, *members)


def test_each_has_its_turn_and_then_all_have_a_rest(a_round: Callable[..., Round]) -> None:
    of_three = a_round("a", "b", "c")
    assert of_three.task.has_more
    waits = []
    for _ in range(3):
        waits.append(of_three.turn())
        of_three.clock.now += 0.4
    assert of_three.asked == ["a", "b", "c"]
    assert not of_three.task.has_more
    assert max(waits[:2]) <= 0, "the others are due"
    assert waits[2] == pytest.approx(BESIDE_SECONDS - 0.8)
    of_three.turn()
    assert len(of_three.asked) == 3, "nobody is due"
    of_three.clock.now += BESIDE_SECONDS
    of_three.turn()
    assert of_three.asked[3:] == ["a"]


def test_who_joins_is_next_and_who_leaves_is_forgotten(a_round: Callable[..., Round]) -> None:
    changing = a_round("a", "b")
    changing.turn()
    changing.turn()
    changing.are_there("b", "c")
    changing.turn()
    assert changing.asked == ["a", "b", "c"]
    assert set(changing.task.due) == {"b", "c"}


def test_without_subaccounts_it_looks_again_soon(a_round: Callable[..., Round]) -> None:
    nobody = a_round()
    assert nobody.turn() == pytest.approx(1.0)
    assert nobody.asked == []


def test_some_of_the_limit_is_left_to_the_polls(a_round: Callable[..., Round]) -> None:
    used_up = a_round("a", "b", "c")
    used_up.remaining = 2
    assert used_up.turn() <= 0
    used_up.remaining = 1
    assert used_up.turn() == 1.0


def test_after_a_refusal_of_one_the_others_have_their_turn(a_round: Callable[..., Round]) -> None:
    refused = a_round("a", "b")
    refused.fails["a"] = BybitError(rule_for_ret_code(10005), "retCode 10005")
    assert refused.turn() <= 0
    refused.turn()
    assert refused.asked == ["a", "b"]
    assert refused.task.due["a"] == refused.clock.now + SLOW_RETRY_SECONDS
    refused.fails["b"] = BybitError(NETWORK, "reset")
    refused.clock.now += BESIDE_SECONDS
    refused.turn()
    assert refused.asked[2:] == ["b"], "a refusal is not repeated each minute"


@pytest.mark.parametrize("code", [10003, 10004, 10007, 10010, 33004])
def test_a_refusal_of_the_key_is_one_of_all(a_round: Callable[..., Round], code: int) -> None:
    """Or else a dead key is tried two or three times a second."""
    dead = a_round("a", "b")
    dead.fails["a"] = BybitError(rule_for_ret_code(code), f"retCode {code}")
    assert dead.turn() == SLOW_RETRY_SECONDS


def test_who_leaves_while_its_balance_is_read_is_not_shown(a_round: Callable[..., Round]) -> None:
    leaving = a_round("a", "b")
    outcome = leaving.task.ask(None)  # type: ignore[arg-type]  # the exchange is a function
    assert outcome
    leaving.are_there("b")
    leaving.task.take_in(outcome, Turn(1000.0, 1000.0, 0.0, 0.0, 0.0))
    assert b'bybit_subaccount_balances_up{account="master",subaccount="a"}' not in leaving.store.exposition()


def test_a_failure_is_told_once_and_again_after_it_has_ended(a_round: Callable[..., Round]) -> None:
    failing = a_round("a", "b")
    failing.fails = {name: BybitError(NETWORK, "reset") for name in ("a", "b", "d")}
    with capture_logs() as events:
        failing.turn()
        failing.turn()
        failing.are_there("c")  # those that failed have gone
        failing.turn()
        failing.are_there("d")
        failing.turn()
    told = [event["event"] for event in events if event["log_level"] != "debug"]
    begun, ended = "the balances of subaccounts cannot be read", "the balances of subaccounts can be read again"
    assert told == [begun, ended, begun]


def test_a_limit_that_is_used_up_is_waited_for(a_round: Callable[..., Round]) -> None:
    limited = a_round("a", "b")
    limited.fails["a"] = BybitError(RATE_LIMIT, "retCode 10006", reset_at_ms=2500)
    assert limited.turn() == 2.5


@pytest.mark.parametrize(("lasted", "shown_for"), [(5.0, 180.0), (100.0, 300.0)])
def test_what_takes_longer_to_read_than_its_interval_is_shown_until_it_is_read_again(
    a_round: Callable[..., Round], lasted: float, shown_for: float
) -> None:
    many = a_round()
    task = Subaccounts(MASTER, BESIDE_SECONDS, many.task.desk)
    listed = [Subaccount("1", "one", SubaccountStatus.NORMAL, "1")]
    task.take_in(Answer(listed, {}, 0.0, 0.0, 1000.0, 1000.0 + lasted), Turn(1000.0, 1000.0 + lasted, 0.0, 0.0, 0.0))
    many.clock.now = 1000.0 + shown_for - 1
    assert many.store.beside(Resource.SUBACCOUNTS, MASTER).value == listed
    many.clock.now += 1
    assert many.store.beside(Resource.SUBACCOUNTS, MASTER).value is None


def test_what_is_asked_for_each_kind_of_account() -> None:
    desk = Desk(Store(ExporterState(True, 0.0)), TransitionLog())

    def asked(account_type: AccountType, prices: float | None = None, **more: bool) -> list[tuple[str, float]]:
        account = Account("a", account_type, None, Secret("k"), Secret("s"), 90.0, 270.0, **more)
        return [(task.what, task.interval_seconds) for task in tasks_of([account], prices, desk)]

    wallet, key = ("account", 90.0), ("key", 300.0)
    for account_type in (AccountType.SPOT, AccountType.UNIFIED, AccountType.AUTO):
        assert asked(account_type) == [wallet, key]
    assert asked(AccountType.FUND) == [wallet, ("withdrawals", 90.0), key]
    assert asked(AccountType.UNIFIED, 5.0) == [wallet, ("prices", 5.0), key]
    assert asked(AccountType.UNIFIED, subaccounts=True) == [wallet, ("subaccounts", 90.0), key]
    with_balances = asked(AccountType.UNIFIED, subaccounts=True, subaccount_balances=True)
    assert with_balances == [wallet, ("subaccounts", 90.0), ("balances of subaccounts", 0.4), key]


def test_polls_come_first() -> None:
    desk = Desk(Store(ExporterState(True, 0.0)), TransitionLog())
    made = tasks_of([MASTER, Account("b", AccountType.FUND, None, Secret("k"), Secret("s"), 1.0, 3.0)], 60.0, desk)
    assert [task.is_poll for task in made] == sorted((task.is_poll for task in made), reverse=True)
    assert len({task.key for task in made}) == len(made)
