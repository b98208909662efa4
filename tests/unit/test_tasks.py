"""The balances of subaccounts: whose turn it is, and what a failure of one means for the others."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from bybit_exporter import tasks
from bybit_exporter.bybit.client import Answer, Client
from bybit_exporter.bybit.errors import BybitError, rule_for_ret_code
from bybit_exporter.bybit.paging import PAUSE_SECONDS
from bybit_exporter.journal import Journal
from bybit_exporter.metrics import Shelf
from bybit_exporter.model import (
    Account,
    AccountType,
    Balance,
    ExporterState,
    Known,
    RateLimit,
    Secret,
    Subaccount,
    SubaccountStatus,
)
from bybit_exporter.store import Store
from bybit_exporter.tasks import BESIDE_SECONDS, Desk, SubaccountBalances, Subaccounts, Turn, tasks_of
from tests.support import FakeClock

MASTER = Account("master", AccountType.FUND, None, Secret("k"), Secret("s"), 10.0, 30.0, True, True)
HELD = (Balance("USDT", Decimal(7), Decimal(0)),)


class Round:
    """The task on a clock of its own, with a client that is not asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = FakeClock(1000.0)
        self.store = Store(ExporterState(True, 0.0), self.clock)
        self.store.replace_accounts([MASTER])
        self.task = SubaccountBalances(MASTER, PAUSE_SECONDS, Desk(self.store, Journal()))
        self.asked: list[str] = []
        self.remaining = 4
        monkeypatch.setattr("bybit_exporter.clock.now", self.clock)
        monkeypatch.setattr(tasks, "read_subaccount_balances", self._read)

    def _read(self, client: Client, account: Account, uid: str) -> Answer[Sequence[Balance]]:
        self.asked.append(uid)
        limits = {"/v5": RateLimit(5, self.remaining)}
        return Answer(HELD, limits, 0.0, 0.0, self.clock.now, self.clock.now)

    def members(self, *names: str) -> None:
        """There are these subaccounts, and no others."""
        found = [Subaccount(name, name, SubaccountStatus.NORMAL, "1") for name in names]
        self.store.put(Shelf.SUBACCOUNTS, MASTER, lambda _: Known(found, self.clock.now, 180.0, up=True))
        self.store.keep_subaccounts(MASTER, names)

    def turn(self, refusal: int = 0) -> float:
        """One turn, refused with this retCode if there is one. Returns how long nothing is to be asked after it."""
        outcome: Answer[Sequence[Balance]] | BybitError | None = self.task.ask(None)  # type: ignore[arg-type]
        if outcome is not None:
            if refusal:
                outcome = BybitError(rule_for_ret_code(refusal), "refused")
            now = self.clock.now
            self.task.take_in(outcome, Turn(now, now, 0.0, now, 0.0))
        return self.task.wait_seconds(outcome, 0.0)

    def shown(self) -> list[str]:
        """The subaccounts of which a balance is shown."""
        lines = self.store.exposition().decode().splitlines()
        return [line.split('"')[3] for line in lines if line.startswith("bybit_subaccount_asset_free{")]


@pytest.fixture
def a_round(monkeypatch: pytest.MonkeyPatch) -> Round:
    return Round(monkeypatch)


def test_each_has_its_turn_and_none_twice_a_minute(a_round: Round) -> None:
    a_round.members("one", "two", "three")
    waits = [a_round.turn() for _ in range(4)]
    assert a_round.asked == ["one", "two", "three"]
    assert waits[2:] == [BESIDE_SECONDS, BESIDE_SECONDS], "then nobody is due for a minute"
    a_round.clock.now += BESIDE_SECONDS
    assert a_round.turn() <= 0
    assert a_round.asked[3:] == ["one"]


def test_who_is_new_comes_first_and_who_has_gone_is_forgotten(a_round: Round) -> None:
    a_round.members("one", "two")
    a_round.turn()
    a_round.members("one", "new")
    a_round.turn()
    a_round.turn()
    assert a_round.asked == ["one", "new"]
    assert a_round.shown() == ["one", "new"]


def test_who_goes_while_its_balance_is_read_is_not_shown(a_round: Round) -> None:
    a_round.members("one", "two")
    outcome = a_round.task.ask(None)  # type: ignore[arg-type]
    assert outcome
    a_round.members("two")
    a_round.task.take_in(outcome, Turn(1000.0, 1000.0, 0.0, 1000.0, 0.0))
    assert a_round.shown() == []


@pytest.mark.parametrize("code", [10005, 10001, 131001])
def test_a_refusal_of_one_leaves_the_others_their_turn(a_round: Round, code: int) -> None:
    a_round.members("one", "two")
    assert a_round.turn(refusal=code) <= 0
    a_round.turn()
    assert a_round.shown() == ["two"]


def test_a_failure_is_told_once_and_again_after_it_has_ended(a_round: Round) -> None:
    a_round.members("one", "two")
    with capture_logs() as events:
        a_round.turn(refusal=10001)
        a_round.turn(refusal=10001)
        a_round.members("three")  # those that failed have gone
        a_round.turn()
        a_round.members("four")
        a_round.turn(refusal=10001)
    told = [event["event"] for event in events if event["log_level"] != "debug"]
    begun, ended = "the balances of subaccounts cannot be read", "the balances of subaccounts can be read again"
    assert told == [begun, ended, begun]


@pytest.mark.parametrize("code", [10003, 10004, 10007, 10010, 33004])
def test_a_refusal_of_the_key_is_one_of_all(a_round: Round, code: int) -> None:
    """Or else a dead key is tried two or three times a second."""
    a_round.members("one", "two")
    assert a_round.turn(refusal=code) == 300.0


def test_without_subaccounts_it_looks_again_soon(a_round: Round) -> None:
    assert a_round.turn() == pytest.approx(1.0)
    assert a_round.asked == []


def test_some_of_the_limit_is_left_to_the_polls(a_round: Round) -> None:
    a_round.members("one", "two", "three")
    a_round.remaining = 2
    assert a_round.turn() <= 0
    a_round.remaining = 1
    assert a_round.turn() == 1.0


def test_all_have_been_asked_once_there_are_no_more(a_round: Round) -> None:
    a_round.members("one", "two")
    assert a_round.task.has_more
    a_round.turn()
    assert a_round.task.has_more
    a_round.turn()
    assert not a_round.task.has_more


@pytest.mark.parametrize(("lasted", "shown_for"), [(5.0, 180.0), (100.0, 300.0)])
def test_what_takes_longer_to_read_than_its_interval_is_shown_until_it_is_read_again(
    a_round: Round, lasted: float, shown_for: float
) -> None:
    task = Subaccounts(MASTER, BESIDE_SECONDS, a_round.task.desk)
    listed = [Subaccount("1", "one", SubaccountStatus.NORMAL, "1")]
    task.take_in(Answer(listed, {}, 0.0, 0.0, 1000.0, 1000.0 + lasted), Turn(1000.0, 1000.0 + lasted, 0.0, 0.0, 0.0))
    a_round.clock.now = 1000.0 + shown_for - 1
    assert a_round.store.beside(Shelf.SUBACCOUNTS, MASTER).value == listed
    a_round.clock.now += 1
    assert a_round.store.beside(Shelf.SUBACCOUNTS, MASTER).value is None


def test_what_is_asked_for_each_kind_of_account() -> None:
    desk = Desk(Store(ExporterState(True, 0.0)), Journal())

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
    assert with_balances == [wallet, ("subaccounts", 90.0), ("balances of subaccounts", PAUSE_SECONDS), key]


def test_polls_come_first() -> None:
    desk = Desk(Store(ExporterState(True, 0.0)), Journal())
    made = tasks_of([MASTER, Account("b", AccountType.FUND, None, Secret("k"), Secret("s"), 1.0, 3.0)], 60.0, desk)
    assert [task.is_poll for task in made] == sorted((task.is_poll for task in made), reverse=True)
    assert len({task.key for task in made}) == len(made)
