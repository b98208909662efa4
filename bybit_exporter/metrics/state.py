"""What is known, how a poll changes it, and what of it may still be shown: frozen, no I/O.

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
    FailureReason,
    MarginSummary,
    RateLimit,
)

T = TypeVar("T")

_ZERO = Decimal(0)

NO_FAILURES: Mapping[FailureReason, int] = dict.fromkeys(FailureReason, 0)


class PollResult(Struct, frozen=True):
    """How one poll ended: with a snapshot, or with the reason why there is none."""

    outcome: AccountSnapshot | FailureReason
    asked_at: float
    """What the result says was true then, or later."""
    ended_timestamp: float
    duration_seconds: float
    rate_limits: Mapping[str, RateLimit] = field(default_factory=dict)
    message: str = ""
    """What went wrong and what to do about it, for people; empty after a success."""


class Cached(Struct, Generic[T], frozen=True):
    """What is known of something that is read beside the wallets: the latest value, which expires as balances do."""

    value: T | None = None
    read_at: float = 0.0
    stale_after_seconds: float = 0.0
    up: bool | None = None
    """Whether the latest reading succeeded."""

    def failed(self) -> Cached[T]:
        """Once a reading has failed: the value stays until it expires."""
        return replace(self, up=False)

    @property
    def valid_until(self) -> float:
        """When the value expires (staleness clock)."""
        return float("inf") if self.value is None else self.read_at + self.stale_after_seconds

    def as_of(self, now: float) -> Cached[T]:
        """The part that may still be shown. Nothing may look healthy while its value is missing."""
        return Cached(up=False) if now >= self.valid_until else self


Withdrawals = Cached[Mapping[str, Decimal]]
"""The sum of the withdrawals under way, by coin."""


class AccountState(Struct, frozen=True):
    """All that is known of an account: what the exposition shows and the status page tells.

    Balances and status carry the time at which the exchange stated them, since they expire
    separately: a refusal that says "banned" is news about the status, and none about the balances.
    """

    account: Account
    found_type: AccountType | None = None
    """What `AccountType.AUTO` has turned out to be."""
    type_refused: bool = False
    """Whether the exchange has refused that type since: the account may have been upgraded."""
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
    withdrawals: Withdrawals | None = None
    """Where they are read by themselves (FUND). None if they are not, or may not be."""
    reason: FailureReason | None = None
    message: str = ""

    @property
    def account_type(self) -> AccountType:
        """The wallet that is read, as far as it is known."""
        return self.found_type or self.account.account_type

    @property
    def asked_type(self) -> AccountType:
        """The wallet to ask for; AUTO if that is to be found out, or found out again."""
        return self.account.account_type if self.type_refused else self.account_type

    def found(self, account_type: AccountType) -> AccountState:
        """The state once the type has been found out. What was known of another wallet is not true of this one."""
        changed = self.found_type not in (None, account_type)
        known = replace(self, balances=None, margin=None, status=None, rate_limits={}) if changed else self
        return replace(known, found_type=account_type, type_refused=False)

    @property
    def holdings(self) -> tuple[Balance, ...] | None:
        """The balances, together with the withdrawals that are read by themselves."""
        under_way = self.withdrawals.value if self.withdrawals else None
        if self.balances is None or under_way is None:
            return self.balances
        listed = tuple(replace(each, withdrawing=under_way.get(each.coin, _ZERO)) for each in self.balances)
        if self.account.coins is not None:
            return listed
        gone = under_way.keys() - {each.coin for each in listed}  # everything of it is on its way out
        return listed + tuple(Balance(coin, _ZERO, _ZERO, under_way[coin]) for coin in sorted(gone))

    def after(self, result: PollResult, next_poll_timestamp: float | None = None) -> AccountState:
        """The state once a poll has ended, and the next has a time (Unix). A failure changes no balance."""
        if isinstance(result.outcome, AccountSnapshot):
            ended = _of_success(result.outcome, result)
        else:
            ended = self._of_failure(result.outcome, result)
        return replace(
            self,
            polls=self.polls + 1,
            poll_duration_seconds=result.duration_seconds,
            next_poll_timestamp=next_poll_timestamp or self.next_poll_timestamp,
            message=result.message,
            **self._of_limits(result.rate_limits, result.asked_at),
            **ended,
        )

    def limited(self, rate_limits: Mapping[str, RateLimit], at: float) -> AccountState:
        """The state once an answer has said what is left of a limit."""
        return replace(self, **self._of_limits(rate_limits, at))

    def _of_limits(self, rate_limits: Mapping[str, RateLimit], at: float) -> dict[str, Any]:
        return {"rate_limits": {**self.rate_limits, **rate_limits}, "rate_limits_at": at} if rate_limits else {}

    def _of_failure(self, reason: FailureReason, result: PollResult) -> dict[str, Any]:
        failed = {"up": False, "reason": reason, "failures": {**self.failures, reason: self.failures[reason] + 1}}
        if reason is FailureReason.BANNED:
            return {**failed, "status": AccountStatus.BANNED, "status_at": result.asked_at}
        if reason is FailureReason.ACCOUNT_MODE:
            return {**failed, "type_refused": True}
        return failed

    def as_of(self, now: float) -> AccountState:
        """The part of the state that may still be shown at ``now`` (staleness clock).

        An account whose figures have expired is not up, whatever its latest poll said: nothing may
        look healthy while its figures are missing (polls may be silenced, or the process was stopped).
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
        return state

    @property
    def valid_until(self) -> float:
        """The first moment (staleness clock) at which something of this state expires."""
        limits = (self.rate_limits or None, self.rate_limits_at)
        parts = (limits, (self.balances, self.balances_at), (self.status, self.status_at))
        shown_since = [at for what, at in parts if what is not None]
        of_the_poll = min(shown_since) + self.account.stale_after_seconds if shown_since else float("inf")
        return min(of_the_poll, self.withdrawals.valid_until) if self.withdrawals else of_the_poll


def _of_success(snapshot: AccountSnapshot, result: PollResult) -> dict[str, Any]:
    return {
        "up": True,
        "reason": None,
        "last_success_timestamp": result.ended_timestamp,
        "balances": snapshot.balances,
        "balances_at": result.asked_at,
        "margin": snapshot.margin,
        "status": snapshot.status,
        "status_at": result.asked_at,
    }


class ExporterState(Struct, frozen=True):
    """What is known of the exporter itself."""

    config_reload_successful: bool
    config_reload_success_timestamp: float
    clock_offset_seconds: float | None = None
    shard: int = 0
    total_shards: int = 1
