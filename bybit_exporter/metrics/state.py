"""What is known, how a result changes it, and what of it may still be shown: frozen, no I/O.

Times are named as in `bybit_exporter.model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Generic, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from ..model import (
    Account,
    AccountSnapshot,
    AccountStatus,
    AccountType,
    Balance,
    Failure,
    FailureReason,
    JobResult,
    MarginSummary,
    MarketPrices,
    RateLimit,
    Resource,
)

T = TypeVar("T")

_ZERO = Decimal(0)

NO_FAILURES: Mapping[FailureReason, int] = dict.fromkeys(FailureReason, 0)


class Cached(Struct, Generic[T], frozen=True):
    """The latest value of something that is read, and when it expires."""

    value: T | None = None
    expires_at: float = float("inf")
    """When the value expires; never, if there is none."""
    up: bool | None = None
    """Whether the latest reading succeeded."""

    def with_result(self, result: JobResult[T]) -> Cached[T] | None:
        """What is known after a reading; None where the exchange does not offer it. A failure keeps the value."""
        if isinstance(result.outcome, Failure):
            return None if result.outcome.is_unavailable else replace(self, up=False)
        return Cached(result.outcome, result.observed_at + result.stale_after_seconds, up=True)

    @property
    def valid_until(self) -> float:
        """The first moment at which something of this expires."""
        return self.expires_at

    def as_of(self, now: float) -> Cached[T]:
        """The part that may still be shown. Once the value has expired, it is not up: nothing may look healthy."""
        return Cached(up=False) if now >= self.expires_at else self


class AccountState(Struct, frozen=True):
    """All that is known of an account: what the exposition and the status page show.

    Balances and status carry the time at which the exchange stated them, since they expire separately: a refusal that
    says "banned" is an answer about the status, and none about the balances.
    """

    account: Account
    found_type: AccountType | None = None
    """What `AccountType.AUTO` has turned out to be."""
    up: bool | None = None
    polls: int = 0
    failures: Mapping[FailureReason, int] = field(default_factory=lambda: NO_FAILURES)
    poll_duration_seconds: float | None = None
    last_success_timestamp: float | None = None
    next_poll_timestamp: float | None = None
    rate_limits: Mapping[str, RateLimit] = field(default_factory=dict)
    rate_limits_at: float = 0.0
    balances: tuple[Balance, ...] | None = None
    balances_at: float = 0.0
    margin: MarginSummary | None = None
    """Of unified accounts. As old as the balances, and expires with them."""
    status: AccountStatus | None = None
    status_at: float = 0.0
    withdrawals: Cached[Mapping[str, Decimal]] | None = None
    """The sum of the withdrawals under way by coin, for a funding wallet. None if they are not, or may not be, read."""
    prices: Cached[MarketPrices] | None = None
    """The prices that the balances are valued at. None if prices are not read."""
    failure: Failure | None = None
    """Why the latest poll failed."""

    @property
    def account_type(self) -> AccountType:
        """The wallet that is read, as far as it is known."""
        return self.found_type or self.account.account_type

    @property
    def holdings(self) -> tuple[Balance, ...] | None:
        """The balances, completed by the withdrawals and the values in US dollars that are read by themselves."""
        if self.balances is None:
            return None
        return self._valued(self._with_withdrawals(self.balances))

    def _with_withdrawals(self, balances: tuple[Balance, ...]) -> tuple[Balance, ...]:
        under_way = self.withdrawals.value if self.withdrawals else None
        if under_way is None:
            return balances
        listed = tuple(replace(each, withdrawing=under_way.get(each.coin, _ZERO)) for each in balances)
        if self.account.coins is not None:
            return listed
        only_withdrawn = under_way.keys() - {each.coin for each in listed}
        return listed + tuple(Balance(coin, _ZERO, _ZERO, under_way[coin]) for coin in sorted(only_withdrawn))

    def _valued(self, balances: tuple[Balance, ...]) -> tuple[Balance, ...]:
        """A unified wallet states what its coins are worth; coins of the others are valued at the market's prices."""
        prices = self.prices.value if self.prices else None
        if prices is None or self.account_type is AccountType.UNIFIED:
            return balances
        usd = prices.usd
        return tuple(
            [replace(each, usd_value=each.total * usd[each.coin]) if each.coin in usd else each for each in balances]
        )

    def with_result(self, result: JobResult[Any], next_run_timestamp: float) -> AccountState:
        """The state after any result about this account; the job runs next at that time."""
        state = self._with_type(result.account_type)
        if result.rate_limits:
            limits = {**state.rate_limits, **result.rate_limits}
            state = replace(state, rate_limits=limits, rate_limits_at=result.observed_at)
        if result.resource is Resource.WALLET:
            return state._with_poll(result, next_run_timestamp)
        if result.resource is Resource.WITHDRAWALS:
            return replace(state, withdrawals=(self.withdrawals or Cached()).with_result(result))
        return state

    def _with_poll(self, result: JobResult[AccountSnapshot], next_run_timestamp: float) -> AccountState:
        """The state after a poll. A failure changes no balance."""
        outcome = result.outcome
        return replace(
            self,
            polls=self.polls + 1,
            poll_duration_seconds=result.duration_seconds,
            next_poll_timestamp=next_run_timestamp,
            failure=result.failure,
            **(self._of_failure(outcome, result) if isinstance(outcome, Failure) else _of_success(outcome, result)),
        )

    def _with_type(self, found: AccountType | None) -> AccountState:
        """The state once the type is known. What was known of another wallet is not true of this one."""
        if found in (None, AccountType.AUTO, self.account_type):
            return self
        changed = self.found_type is not None
        known = replace(self, balances=None, margin=None, status=None, rate_limits={}) if changed else self
        return replace(known, found_type=found)

    def _of_failure(self, failure: Failure, result: JobResult[AccountSnapshot]) -> dict[str, Any]:
        reason = failure.reason
        failed = {"up": False, "failures": {**self.failures, reason: self.failures[reason] + 1}}
        if reason is FailureReason.BANNED:
            return {**failed, "status": AccountStatus.BANNED, "status_at": result.observed_at}
        return failed

    def as_of(self, now: float) -> AccountState:
        """The part of the state that may still be shown at ``now`` (staleness clock).

        An account whose figures have expired is not up, whatever its latest poll said: nothing may look healthy while
        its figures are missing (polls may be paused, or the process was stopped).
        """
        state = self
        if self.balances is not None and now >= self.balances_at + self.account.stale_after_seconds:
            state = replace(state, balances=None, margin=None, up=False)
        if self.status is not None and now >= self.status_at + self.account.stale_after_seconds:
            state = replace(state, status=None)
        if self.rate_limits and now >= self.rate_limits_at + self.account.stale_after_seconds:
            state = replace(state, rate_limits={})
        if self.withdrawals is not None and now >= self.withdrawals.valid_until:
            state = replace(state, withdrawals=self.withdrawals.as_of(now))
        if self.prices is not None and now >= self.prices.valid_until:
            state = replace(state, prices=self.prices.as_of(now))
        return state

    @property
    def valid_until(self) -> float:
        """The first moment (staleness clock) at which something of this state expires."""
        limits = (self.rate_limits or None, self.rate_limits_at)
        parts = (limits, (self.balances, self.balances_at), (self.status, self.status_at))
        stated = [at for what, at in parts if what is not None]
        of_the_poll = min(stated) + self.account.stale_after_seconds if stated else float("inf")
        cached = [each.valid_until for each in (self.withdrawals, self.prices) if each is not None]
        return min([of_the_poll, *cached])


def _of_success(snapshot: AccountSnapshot, result: JobResult[AccountSnapshot]) -> dict[str, Any]:
    return {
        "up": True,
        "last_success_timestamp": result.ended_timestamp,
        "balances": snapshot.balances,
        "margin": snapshot.margin,
        "balances_at": result.observed_at,
        "status": snapshot.status,
        "status_at": result.observed_at,
    }


class ExporterState(Struct, frozen=True):
    """What is known of the exporter itself."""

    config_reload_successful: bool
    config_reload_success_timestamp: float
    clock_offset_seconds: float | None = None
    shard: int = 0
    total_shards: int = 1
