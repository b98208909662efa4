"""Accounts, balances and results for tests, with defaults for everything that a test is not about."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bybit_exporter.model import (
    Account,
    AccountSnapshot,
    AccountStatus,
    AccountType,
    Balance,
    Failure,
    FailureReason,
    JobResult,
    Resource,
    Secret,
)

EPOCH = 1_700_000_000.0
"""The Unix time of moment 0 of the staleness clock in results."""


def make_account(name: str = "main", account_type: AccountType = AccountType.SPOT, **changes: Any) -> Account:
    """An account that is polled every 10 s, and whose figures expire after 30 s."""
    given: dict[str, Any] = {
        "coins": None,
        "api_key": Secret("CANARYKEY"),
        "api_secret": Secret("CANARYSECRET"),
        "poll_interval_seconds": 10.0,
        "stale_after_seconds": 30.0,
    }
    return Account(name, account_type, **{**given, **changes})


def make_balance(coin: str, free: str, frozen: str = "0", withdrawing: str | None = "0") -> Balance:
    """The balance of a coin, as a spot wallet states it."""
    return Balance(coin, Decimal(free), Decimal(frozen), None if withdrawing is None else Decimal(withdrawing))


def make_snapshot(*balances: Balance, **changes: Any) -> AccountSnapshot:
    """The snapshot of a successful poll of a normal account."""
    return AccountSnapshot(**{"status": AccountStatus.NORMAL, "balances": balances, **changes})


def make_failure(
    reason: FailureReason = FailureReason.NETWORK, message: str = "what happened", **changes: Any
) -> Failure:
    """A failed run of a job."""
    return Failure(reason, message, **{"advice": "what to do", **changes})


def make_result(
    account: Account | None, outcome: Any, at: float = 0.0, resource: Resource = Resource.WALLET, **changes: Any
) -> JobResult[Any]:
    """The result of a job that asked at a moment of the staleness clock and took 0.25 s."""
    given: dict[str, Any] = {
        "observed_at": at,
        "ended_at": at,
        "ended_timestamp": EPOCH + at,
        "duration_seconds": 0.25,
        "stale_after_seconds": account.stale_after_seconds if account else 180.0,
        "account_type": account.account_type if account and resource is Resource.WALLET else None,
    }
    return JobResult(resource, account, outcome, **{**given, **changes})
