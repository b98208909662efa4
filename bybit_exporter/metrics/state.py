"""The states of accounts and resources, how a result changes them, and which parts have expired: frozen, no I/O.

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
MAX_FLOAT_EXPONENT = 307
"""The largest exponent of the first digit with which a number is always a finite float."""

NO_FAILURES: Mapping[FailureReason, int] = dict.fromkeys(FailureReason, 0)


class Cached(Struct, Generic[T], frozen=True):
    """The latest value of a resource, and when it expires."""

    value: T | None = None
    valid_until: float = float("inf")
    """When the value expires; infinite if there is none."""
    up: bool | None = None
    """Whether the latest reading succeeded. None: there is no such metric."""
    is_available: bool = True
    """False: the exchange does not offer the resource, or it is not read."""

    def with_result(self, result: JobResult[T]) -> Cached[T]:
        """The state after a result. A failure keeps the value.

        What is not available stays so after a failure that says nothing about it, such as a timeout.
        """
        outcome = result.outcome
        if not isinstance(outcome, Failure):
            return Cached(outcome, result.observed_at + result.stale_after_seconds, up=True)
        if outcome.is_unavailable or (outcome.concerns_any_request and not self.is_available):
            return UNAVAILABLE
        return replace(self, up=False, is_available=True)

    def as_of(self, now: float) -> Cached[T]:
        """The state without an expired value. Then ``up`` is false, since an expired resource must not look healthy."""
        return Cached(up=False) if now >= self.valid_until else self


UNAVAILABLE: Cached[Any] = Cached(is_available=False)


class AccountState(Struct, frozen=True):
    """The state of an account, as the exposition and the status page show it.

    Balances and status each have the time at which the exchange stated them, since they expire separately: a refusal
    that says "banned" states the status, but no balances.
    """

    account: Account
    found_type: AccountType | None = None
    """The type that was found for `AccountType.AUTO`."""
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
    """For unified accounts. It has the age of the balances, and expires with them."""
    status: AccountStatus | None = None
    status_at: float = 0.0
    withdrawals: Cached[Mapping[str, Decimal]] = UNAVAILABLE
    """For a funding wallet: the sum of the withdrawals under way by coin."""
    prices: Cached[MarketPrices] = UNAVAILABLE
    """The prices for the values in US dollars."""
    failure: Failure | None = None
    """Why the latest poll failed."""

    @property
    def account_type(self) -> AccountType:
        """The type of the wallet: as found, or else as configured."""
        return self.found_type or self.account.account_type

    @property
    def holdings(self) -> tuple[Balance, ...] | None:
        """The balances, with the withdrawals and the values in US dollars that come from other requests."""
        if self.balances is None:
            return None
        return self._valued(self._with_withdrawals(self.balances))

    def _with_withdrawals(self, balances: tuple[Balance, ...]) -> tuple[Balance, ...]:
        withdrawals = self.withdrawals.value
        if withdrawals is None:
            return balances
        listed = tuple(replace(each, withdrawing=withdrawals.get(each.coin, _ZERO)) for each in balances)
        if self.account.coins is not None:
            return listed
        only_withdrawn = withdrawals.keys() - {each.coin for each in listed}
        return listed + tuple(Balance(coin, _ZERO, _ZERO, withdrawals[coin]) for coin in sorted(only_withdrawn))

    def _valued(self, balances: tuple[Balance, ...]) -> tuple[Balance, ...]:
        """Adds the values in US dollars at market prices. A unified wallet states its values itself."""
        prices = self.prices.value
        if prices is None or self.account_type is AccountType.UNIFIED:
            return balances
        if self.withdrawals.is_available and self.withdrawals.value is None:  # a value without them would be too low
            return balances
        return tuple([_at_price(each, prices.usd.get(each.coin)) for each in balances])

    def with_result(self, result: JobResult[Any], next_run_timestamp: float) -> AccountState:
        """The state after any result of this account. ``next_run_timestamp`` is when the job runs next."""
        state = self._with_type(result.account_type)
        if result.rate_limits:
            limits = {**state.rate_limits, **result.rate_limits}
            state = replace(state, rate_limits=limits, rate_limits_at=max(state.rate_limits_at, result.ended_at))
        if result.resource is Resource.WALLET:
            return state._with_poll(result, next_run_timestamp)
        if result.resource is Resource.WITHDRAWALS:
            return replace(state, withdrawals=self.withdrawals.with_result(result))
        return state

    def _with_poll(self, result: JobResult[AccountSnapshot], next_run_timestamp: float) -> AccountState:
        """The state after a poll. A failure changes no balance."""
        outcome = result.outcome
        polled = replace(
            self,
            up=result.failure is None,
            polls=self.polls + 1,
            poll_duration_seconds=result.duration_seconds,
            next_poll_timestamp=next_run_timestamp,
            failure=result.failure,
        )
        if not isinstance(outcome, Failure):
            return replace(
                polled,
                last_success_timestamp=result.ended_timestamp,
                balances=outcome.balances,
                margin=outcome.margin,
                balances_at=result.ended_at,
                status=outcome.status,
                status_at=result.ended_at,
            )
        polled = replace(polled, failures={**self.failures, outcome.reason: self.failures[outcome.reason] + 1})
        if outcome.reason is FailureReason.BANNED:
            return replace(polled, status=AccountStatus.BANNED, status_at=result.ended_at)
        return polled

    def _with_type(self, found: AccountType | None) -> AccountState:
        """The state with this account type. A changed type removes the figures of the other wallet."""
        if found in (None, AccountType.AUTO, self.account_type):
            return self
        changed = self.found_type is not None
        known = replace(self, balances=None, margin=None, status=None, rate_limits={}) if changed else self
        return replace(known, found_type=found)

    def as_of(self, now: float) -> AccountState:
        """The state without the parts that have expired at ``now`` (staleness clock).

        An account whose balances have expired is not up, even if its latest poll succeeded: polls may be paused, or the
        process may have been stopped.
        """
        state = self
        if self.balances is not None and now >= self.balances_at + self.account.stale_after_seconds:
            state = replace(state, balances=None, margin=None, up=False)
        if self.status is not None and now >= self.status_at + self.account.stale_after_seconds:
            state = replace(state, status=None)
        if self.rate_limits and now >= self.rate_limits_at + self.account.stale_after_seconds:
            state = replace(state, rate_limits={})
        if now >= self.withdrawals.valid_until:
            state = replace(state, withdrawals=self.withdrawals.as_of(now))
        if now >= self.prices.valid_until:
            state = replace(state, prices=self.prices.as_of(now))
        return state

    @property
    def valid_until(self) -> float:
        """The first moment (staleness clock) at which a part of this state expires."""
        limits = (self.rate_limits or None, self.rate_limits_at)
        parts = (limits, (self.balances, self.balances_at), (self.status, self.status_at))
        times = [at for part, at in parts if part is not None]
        poll_expires_at = min(times) + self.account.stale_after_seconds if times else float("inf")
        # A unified wallet states itself what its coins are worth.
        prices = UNAVAILABLE if self.account_type is AccountType.UNIFIED else self.prices
        return min(poll_expires_at, self.withdrawals.valid_until, prices.valid_until)


def _at_price(balance: Balance, price: Decimal | None) -> Balance:
    """The balance with its value in US dollars; without one if there is no price, or the value is too large."""
    if price is None:
        return balance
    value = balance.total * price
    return replace(balance, usd_value=value) if value.adjusted() <= MAX_FLOAT_EXPONENT else balance


class ExporterState(Struct, frozen=True):
    """The state of the exporter itself."""

    config_reload_successful: bool
    config_reload_success_timestamp: float
    clock_offset_seconds: float | None = None
    shard: int = 0
    total_shards: int = 1
    clock_offset_expires_at: float = float("inf")

    def as_of(self, now: float) -> ExporterState:
        """The state without an expired clock offset."""
        return replace(self, clock_offset_seconds=None) if now >= self.clock_offset_expires_at else self
