"""States follow polls and the clock."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bybit_exporter.metrics.state import AccountState, PollResult
from bybit_exporter.model import (
    Account,
    AccountSnapshot,
    AccountStatus,
    AccountType,
    Balance,
    FailureReason,
    RateLimit,
    Secret,
)

ACCOUNT = Account("main", AccountType.SPOT, None, Secret("k"), Secret("s"), 10.0, 30.0)
SNAPSHOT = AccountSnapshot(AccountStatus.NORMAL, (Balance("ETH", Decimal(1), Decimal(2), Decimal(3)),))
LIMITS = {"/v5": RateLimit(60, 59)}


def result(outcome: AccountSnapshot | FailureReason, at: float, message: str = "") -> PollResult:
    return PollResult(outcome, at, 1_700_000_000.0 + at, 0.25, LIMITS, message)


def test_before_the_first_poll_nothing_is_claimed() -> None:
    state = AccountState(ACCOUNT)
    assert (state.up, state.balances, state.status, state.last_success_timestamp) == (None, None, None, None)
    assert state.failures == dict.fromkeys(FailureReason, 0)
    assert state.valid_until == float("inf")


def test_a_success() -> None:
    state = AccountState(ACCOUNT).after(result(SNAPSHOT, 5.0))
    assert state.up is True
    assert state.polls == 1
    assert state.balances == SNAPSHOT.balances
    assert state.status is AccountStatus.NORMAL
    assert state.last_success_timestamp == 1_700_000_005.0
    assert state.poll_duration_seconds == 0.25
    assert state.rate_limits == LIMITS
    assert state.valid_until == 35.0


@pytest.mark.parametrize("reason", [reason for reason in FailureReason if reason is not FailureReason.BANNED])
def test_a_failure_changes_neither_balances_nor_status(reason: FailureReason) -> None:
    before = AccountState(ACCOUNT).after(result(SNAPSHOT, 5.0))
    state = before.after(result(reason, 15.0, "what happened"))
    assert state.up is False
    assert state.polls == 2
    assert state.failures == {**before.failures, reason: 1}
    assert (state.reason, state.message) == (reason, "what happened")
    unchanged = ("balances", "balances_at", "status", "status_at", "last_success_timestamp")
    assert all(getattr(state, name) == getattr(before, name) for name in unchanged)


def test_a_success_clears_the_failure() -> None:
    state = AccountState(ACCOUNT).after(result(FailureReason.NETWORK, 5.0, "what happened"))
    state = state.after(result(SNAPSHOT, 15.0))
    assert (state.up, state.reason, state.message) == (True, None, "")
    assert state.failures[FailureReason.NETWORK] == 1


def test_a_poll_without_news_of_the_limits_keeps_the_last_ones() -> None:
    state = AccountState(ACCOUNT).after(result(SNAPSHOT, 5.0))
    state = state.after(PollResult(FailureReason.NETWORK, 15.0, 15.0, 0.1))
    assert state.rate_limits == LIMITS


def test_figures_live_until_stale_after_and_not_a_moment_longer() -> None:
    state = AccountState(ACCOUNT).after(result(SNAPSHOT, 5.0))
    assert state.as_of(34.999) is state
    stale = state.as_of(35.0)
    assert (stale.balances, stale.status, stale.up) == (None, None, False)
    assert (stale.polls, stale.last_success_timestamp) == (1, 1_700_000_005.0)


def test_a_ban_by_refusal_outlives_the_balances_for_as_long_as_it_is_repeated() -> None:
    state = AccountState(ACCOUNT).after(result(SNAPSHOT, 5.0))
    for at in (15.0, 25.0, 35.0, 45.0):
        state = state.after(result(FailureReason.BANNED, at))
    shown = state.as_of(74.999)
    assert (shown.up, shown.balances, shown.status) == (False, None, AccountStatus.BANNED)
    assert state.as_of(75.0).status is None
    assert state.valid_until == 35.0


def test_a_ban_is_news_even_before_the_first_success() -> None:
    state = AccountState(ACCOUNT).after(result(FailureReason.BANNED, 5.0))
    assert (state.up, state.balances, state.status) == (False, None, AccountStatus.BANNED)
    assert state.valid_until == 35.0


def test_limits_expire_as_balances_do_and_what_is_read_beside_renews_them() -> None:
    limits = {"/v5": RateLimit(60, 4)}
    state = AccountState(ACCOUNT).after(PollResult(FailureReason.RATE_LIMIT, 100.0, 0.0, 0.1, limits))
    assert state.as_of(129.9).rate_limits == limits
    assert state.valid_until == 130.0
    assert state.as_of(130.0).rate_limits == {}
    renewed = state.limited({"/other": RateLimit(5, 5)}, 120.0)
    assert renewed.as_of(149.9).rate_limits == {**limits, "/other": RateLimit(5, 5)}
    assert state.limited({}, 200.0) == state
