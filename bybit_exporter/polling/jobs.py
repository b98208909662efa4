"""What is asked, each on its own interval: the wallet of each account, and beside it what else there is to know.

A task asks (`ask`), and takes in what came of it (`take_in`). It fails alone: no other waits for it or shows less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic, TypeVar

from msgspec import Struct

from .. import clock
from ..bybit.api_key import read_api_key
from ..bybit.client import Answer, Client
from ..bybit.errors import NO_PERMISSION, SLOW_RETRY_SECONDS, BybitError, RetryPolicy, advice
from ..bybit.paging import PAUSE_SECONDS
from ..bybit.prices import read_prices
from ..bybit.subaccounts import read_subaccount_balances, read_subaccounts
from ..bybit.wallets import find_account_type, read_wallet
from ..bybit.withdrawals import read_withdrawals
from ..metrics.families import Resource
from ..metrics.state import Cached, PollResult
from ..metrics.store import Store
from ..model import (
    STALE_AFTER_INTERVALS,
    Account,
    AccountSnapshot,
    AccountType,
    ApiKey,
    Balance,
    FailureReason,
    Subaccount,
)
from .schedule import POLLS_SHARE
from .transition_log import TransitionLog

T = TypeVar("T")

BESIDE_SECONDS = 60.0
"""Withdrawals, subaccounts and the balances of each are read at most this often."""

API_KEY_SECONDS = 3600.0
API_KEY_RETRY_SECONDS = 300.0
"""How often a key is checked, and how soon again after that failed."""

IDLE_SECONDS = 1.0
"""How soon to look again whether there are subaccounts, or whether their endpoint has room: it counts by the second."""

LEFT_FOR_POLLS = 1
"""So many requests to that endpoint are left to a funding account's own polls."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where tasks put what they have found: what is shown, and what the log tells."""

    store: Store
    journal: TransitionLog


class Turn(Struct, frozen=True, gc=False):
    """One turn of a task: when it began and ended, and when the next is due; Unix time where the name says so."""

    started: float
    ended: float
    ended_timestamp: float
    next_at: float
    next_timestamp: float


@dataclass(frozen=True)
class Task(Generic[T]):
    """What is asked on an interval. Two are equal if they ask the same; no account stands for the whole exporter."""

    account: Account | None
    interval_seconds: float
    desk: Desk = field(compare=False, repr=False)

    is_poll = False
    share = 0.1
    what = ""
    """What is read, as the log calls it."""

    @property
    def key(self) -> tuple[str, str]:
        return self.what, self.account.name if self.account else ""

    def ask(self, client: Client) -> Answer[T] | None:
        """Asks the exchange; None if there is nothing to ask.

        Raises:
            BybitError: whatever went wrong.
        """
        raise NotImplementedError

    def take_in(self, outcome: Answer[T] | BybitError, turn: Turn) -> None:
        """Stores what came of it, and tells the log what is news."""
        raise NotImplementedError

    def wait_seconds(self, outcome: Answer[T] | BybitError | None, exchange_now: float) -> float:
        """How long nothing is to be asked; 0 means until the next interval. ``exchange_now`` is Unix time."""
        return outcome.wait_seconds(exchange_now) if isinstance(outcome, BybitError) else 0.0

    def reschedule(self, next_timestamp: float) -> None:
        """Takes in that the next turn is at another time (Unix time)."""

    @property
    def owner(self) -> Account:
        """The account, where it takes a key to ask."""
        assert self.account is not None
        return self.account


class Wallet(Task[AccountSnapshot]):
    """The poll of an account."""

    is_poll = True
    share = POLLS_SHARE
    what = "account"

    def ask(self, client: Client) -> Answer[AccountSnapshot]:
        account_type = self.desk.store.account_type(self.owner)
        if account_type is AccountType.AUTO:
            account_type = find_account_type(client, self.owner)
            self.desk.store.found(self.owner, account_type)
        return read_wallet(client, self.owner, account_type)

    def take_in(self, outcome: Answer[AccountSnapshot] | BybitError, turn: Turn) -> None:
        self.desk.store.record(self.owner, _poll_result(self.owner, outcome, turn), turn.next_timestamp)
        if isinstance(outcome, BybitError):
            self.desk.journal.failed(self.owner, outcome, turn.ended, turn.next_at - turn.ended)
        else:
            self.desk.journal.succeeded(self.owner, outcome.result, turn.ended)

    def reschedule(self, next_timestamp: float) -> None:
        self.desk.store.reschedule(self.owner, next_timestamp)


def _poll_result(account: Account, outcome: Answer[AccountSnapshot] | BybitError, turn: Turn) -> PollResult:
    ending: AccountSnapshot | FailureReason
    if isinstance(outcome, BybitError):
        message = f"{outcome}; {advice(outcome, account.account_type)}"
        ending, asked_at = outcome.reason, turn.started
    else:
        # A figure may be as old as the question: the answer may have been long on its way.
        ending, asked_at, message = outcome.result, outcome.asked_at, ""
    return PollResult(ending, asked_at, turn.ended_timestamp, turn.ended - turn.started, outcome.rate_limits, message)


class Beside(Task[T]):
    """A reading beside the polls. What it brings has a shelf of its own in the store, and is shown until stale."""

    shelf: Resource

    def take_in(self, outcome: Answer[T] | BybitError, turn: Turn) -> None:
        if self.account:
            self.desk.store.limited(self.account, outcome.rate_limits)
        if isinstance(outcome, BybitError):
            self.fail(outcome)
            self.desk.journal.failed(self.account, outcome, turn.ended, turn.next_at - turn.ended, self.what)
        else:
            self.put(outcome)
            self.desk.journal.readable(self.account, turn.ended, self.what)

    def put(self, answer: Answer[T]) -> None:
        """Stores what has been read."""
        read = self._known(answer)
        self.desk.store.put(self.shelf, self.account, lambda _: read)

    def _known(self, answer: Answer[T]) -> Cached[T]:
        """What has been read, until it expires. Very many pages may take longer than the interval."""
        longest_turn = STALE_AFTER_INTERVALS * (answer.received_at - answer.asked_at)
        return Cached(answer.result, answer.asked_at, max(self.stale_after_seconds, longest_turn), up=True)

    def fail(self, error: BybitError) -> None:
        """Stores that it could not be read."""
        self.desk.store.put(self.shelf, self.account, Cached.failed)

    @property
    def stale_after_seconds(self) -> float:
        return STALE_AFTER_INTERVALS * self.interval_seconds


class Prices(Beside[Mapping[str, Decimal]]):
    """What coins are worth."""

    what, shelf = "prices", Resource.PRICES

    def ask(self, client: Client) -> Answer[Mapping[str, Decimal]]:
        answer = read_prices(client)
        return answer.with_result(answer.result.usd)


class Withdrawals(Beside[Mapping[str, Decimal]]):
    """The withdrawals under way of a funding account, where its key may read them; shown among its balances."""

    what = "withdrawals"

    def ask(self, client: Client) -> Answer[Mapping[str, Decimal]]:
        return read_withdrawals(client, self.owner)

    def put(self, answer: Answer[Mapping[str, Decimal]]) -> None:
        read = self._known(answer)
        self.desk.store.withdrawals(self.owner, lambda _: read)

    def fail(self, error: BybitError) -> None:
        if error.rule is NO_PERMISSION:  # the key may not read them, which is no fault
            self.desk.store.withdrawals(self.owner, lambda _: None)
        else:
            self.desk.store.withdrawals(self.owner, Cached.failed)


class ApiKeyCheck(Beside[ApiKey]):
    """What the exchange says of the account's key."""

    what, shelf = "key", Resource.API_KEY
    share = 0.01  # there is no hurry, and a thousand at once would be felt each hour

    def ask(self, client: Client) -> Answer[ApiKey]:
        return read_api_key(client, self.owner)

    def put(self, answer: Answer[ApiKey]) -> None:
        super().put(answer)
        self.desk.journal.key(self.owner, answer.result, clock.wall())

    @property
    def stale_after_seconds(self) -> float:
        return STALE_AFTER_INTERVALS * API_KEY_SECONDS

    def wait_seconds(self, outcome: Answer[ApiKey] | BybitError | None, exchange_now: float) -> float:
        if isinstance(outcome, BybitError):
            return super().wait_seconds(outcome, exchange_now)
        return API_KEY_SECONDS - self.interval_seconds / 2


class Subaccounts(Beside[Sequence[Subaccount]]):
    """The subaccounts of a master account, and the state of each."""

    what, shelf = "subaccounts", Resource.SUBACCOUNTS

    def ask(self, client: Client) -> Answer[Sequence[Subaccount]]:
        return read_subaccounts(client, self.owner)

    def put(self, answer: Answer[Sequence[Subaccount]]) -> None:
        super().put(answer)
        self.desk.store.keep_subaccounts(self.owner, {each.name for each in answer.result})
        self.desk.journal.subaccounts(self.owner, answer.result)


@dataclass(frozen=True)
class SubaccountBalances(Task[Sequence[Balance]]):
    """The funding balances of the subaccounts: of one in each turn, of each at most once a minute."""

    what = "balances of subaccounts"

    due: dict[str, float] = field(default_factory=dict, init=False, compare=False, repr=False)
    """When each is asked for (staleness clock), by UID."""
    failing: set[str] = field(default_factory=set, init=False, compare=False, repr=False)
    asking: list[Subaccount] = field(default_factory=list, init=False, compare=False, repr=False)
    """The one whose turn it is, if any."""

    @property
    def has_more(self) -> bool:
        """Whether there is a subaccount whose balance has not been asked for yet."""
        return any(not self.due.get(member.uid) for member in self.desk.store.subaccounts(self.owner))

    def ask(self, client: Client) -> Answer[Sequence[Balance]] | None:
        members = self.desk.store.subaccounts(self.owner)
        for gone in self.due.keys() - {member.uid for member in members}:
            del self.due[gone]
            self.failing.discard(gone)
        for member in members:
            self.due.setdefault(member.uid, 0.0)
        first = min(members, key=lambda member: self.due[member.uid], default=None)
        if first is None or self.due[first.uid] > clock.now():
            return None
        self.asking[:] = [first]
        self.due[first.uid] = clock.now() + BESIDE_SECONDS
        return read_subaccount_balances(client, self.owner, first.uid)

    def take_in(self, outcome: Answer[Sequence[Balance]] | BybitError, turn: Turn) -> None:
        (member,) = self.asking
        if member.name not in {each.name for each in self.desk.store.subaccounts(self.owner)}:
            return  # it has gone, or has another name, since it was asked for
        self.desk.store.limited(self.owner, outcome.rate_limits)
        was_failing = bool(self.failing)
        if isinstance(outcome, BybitError):
            self.failing.add(member.uid)
            if outcome.rule.retry is RetryPolicy.SLOW_RETRY:
                self.due[member.uid] = turn.ended + SLOW_RETRY_SECONDS
            self.desk.store.put(Resource.SUBACCOUNT_BALANCES, self.owner, Cached.failed, member.name)
            if not was_failing:  # told once, whoever else fails
                self.desk.journal.failed(self.owner, outcome, turn.ended, BESIDE_SECONDS, self.what)
            return
        self.failing.discard(member.uid)
        round_seconds = max(BESIDE_SECONDS, self.interval_seconds * len(self.due))
        read = Cached(outcome.result, outcome.asked_at, STALE_AFTER_INTERVALS * round_seconds, up=True)
        self.desk.store.put(Resource.SUBACCOUNT_BALANCES, self.owner, lambda _: read, member.name)
        if not self.failing:
            self.desk.journal.readable(self.owner, turn.ended, self.what)

    def wait_seconds(self, outcome: Answer[Sequence[Balance]] | BybitError | None, exchange_now: float) -> float:
        """After a refusal of one the others have their turn, unless it is the key that is refused, which all share.

        A limit is for all, too, and the polls need some of it.
        """
        if isinstance(outcome, BybitError) and (outcome.rule.retry is RetryPolicy.AFTER_RESET or outcome.refuses_key):
            return outcome.wait_seconds(exchange_now)
        if outcome and any(limit.remaining <= LEFT_FOR_POLLS for limit in outcome.rate_limits.values()):
            return IDLE_SECONDS
        return min(self.due.values(), default=IDLE_SECONDS + clock.now()) - clock.now()


def tasks_of(accounts: Sequence[Account], prices_interval_seconds: float | None, desk: Desk) -> list[Task[Any]]:
    """Everything that is asked for these accounts, and for the prices unless they are off (None). Polls come first."""
    tasks: list[Task[Any]] = [Wallet(account, account.poll_interval_seconds, desk) for account in accounts]
    if prices_interval_seconds is not None:
        tasks.append(Prices(None, prices_interval_seconds, desk))
    for account in accounts:
        beside = max(BESIDE_SECONDS, account.poll_interval_seconds)
        if account.account_type is AccountType.FUND:
            tasks.append(Withdrawals(account, beside, desk))
        if account.subaccounts:
            tasks.append(Subaccounts(account, beside, desk))
        if account.subaccount_balances:
            tasks.append(SubaccountBalances(account, PAUSE_SECONDS, desk))
        tasks.append(ApiKeyCheck(account, API_KEY_RETRY_SECONDS, desk))
    return tasks
