"""States follow polls and the clock."""

from __future__ import annotations

from typing import Any

import pytest

from bybit_exporter.metrics.state import UNAVAILABLE, AccountState, Cached
from bybit_exporter.model import (
    AccountSnapshot,
    AccountStatus,
    AccountType,
    Failure,
    FailureReason,
    JobResult,
    MarketPrices,
    RateLimit,
    Resource,
)
from tests.builders import make_account, make_balance, make_failure, make_result, make_snapshot

ACCOUNT = make_account()
SNAPSHOT = make_snapshot(make_balance("ETH", "1", "2", "3"))
OF_ANY_REQUEST = (
    FailureReason.NETWORK,
    FailureReason.TIMEOUT,
    FailureReason.SERVER,
    FailureReason.RATE_LIMIT,
    FailureReason.IP_RATE_LIMIT,
    FailureReason.CLOCK,
)
LIMITS = {"/v5": RateLimit(60, 59)}


def result(outcome: AccountSnapshot | FailureReason, at: float) -> JobResult[Any]:
    made = make_failure(outcome) if isinstance(outcome, FailureReason) else outcome
    return make_result(ACCOUNT, made, at, rate_limits=LIMITS)


def after(state: AccountState, *results: JobResult[Any]) -> AccountState:
    for each in results:
        state = state.with_result(each, 0.0)
    return state


def test_state_before_the_first_poll_has_no_figures() -> None:
    state = AccountState(ACCOUNT)
    assert (state.up, state.balances, state.status, state.last_success_timestamp) == (None, None, None, None)
    assert state.failures == dict.fromkeys(FailureReason, 0)
    assert state.valid_until == float("inf")


def test_success_sets_figures_and_times() -> None:
    state = after(AccountState(ACCOUNT), result(SNAPSHOT, 5.0))
    assert state.up is True
    assert state.polls == 1
    assert state.balances == SNAPSHOT.balances
    assert state.status is AccountStatus.NORMAL
    assert state.last_success_timestamp == 1_700_000_005.0
    assert state.poll_duration_seconds == 0.25
    assert state.rate_limits == LIMITS
    assert state.valid_until == 35.0


@pytest.mark.parametrize("reason", [reason for reason in FailureReason if reason is not FailureReason.BANNED])
def test_failure_changes_neither_balances_nor_status(reason: FailureReason) -> None:
    before = after(AccountState(ACCOUNT), result(SNAPSHOT, 5.0))
    state = after(before, result(reason, 15.0))
    assert state.up is False
    assert state.polls == 2
    assert state.failures == {**before.failures, reason: 1}
    assert state.failure == make_failure(reason)
    unchanged = ("balances", "balances_at", "status", "status_at", "last_success_timestamp")
    assert all(getattr(state, name) == getattr(before, name) for name in unchanged)


def test_success_clears_the_failure() -> None:
    state = after(AccountState(ACCOUNT), result(FailureReason.NETWORK, 5.0))
    state = after(state, result(SNAPSHOT, 15.0))
    assert (state.up, state.failure) == (True, None)
    assert state.failures[FailureReason.NETWORK] == 1


def test_poll_without_rate_limits_keeps_the_last_ones() -> None:
    state = after(AccountState(ACCOUNT), result(SNAPSHOT, 5.0))
    state = after(state, make_result(ACCOUNT, make_failure(), 15.0))
    assert state.rate_limits == LIMITS


def test_figures_expire_exactly_after_stale_after() -> None:
    state = after(AccountState(ACCOUNT), result(SNAPSHOT, 5.0))
    assert state.as_of(34.999) is state
    stale = state.as_of(35.0)
    assert (stale.balances, stale.status, stale.up) == (None, None, False)
    assert (stale.polls, stale.last_success_timestamp) == (1, 1_700_000_005.0)


@pytest.mark.parametrize("outcome", [SNAPSHOT, make_failure(FailureReason.BANNED)])
def test_figures_expire_stale_after_the_end_of_a_poll(outcome: AccountSnapshot | Failure) -> None:
    """Otherwise they would be gone during each poll if stale_after equals the poll interval."""
    poll = make_result(ACCOUNT, outcome, 5.0, ended_at=9.0, rate_limits=LIMITS)
    state = after(AccountState(ACCOUNT), poll)
    assert state.valid_until == 39.0
    assert state.as_of(38.9) is state
    assert (state.as_of(39.0).status, state.as_of(39.0).balances, state.as_of(39.0).rate_limits) == (None, None, {})


def test_banned_status_is_kept_as_long_as_the_refusal_is_repeated() -> None:
    state = after(AccountState(ACCOUNT), result(SNAPSHOT, 5.0))
    for at in (15.0, 25.0, 35.0, 45.0):
        state = after(state, result(FailureReason.BANNED, at))
    shown = state.as_of(74.999)
    assert (shown.up, shown.balances, shown.status) == (False, None, AccountStatus.BANNED)
    assert state.as_of(75.0).status is None
    assert state.valid_until == 35.0


def test_banned_status_is_set_before_the_first_success() -> None:
    state = after(AccountState(ACCOUNT), result(FailureReason.BANNED, 5.0))
    assert (state.up, state.balances, state.status) == (False, None, AccountStatus.BANNED)
    assert state.valid_until == 35.0


def test_rate_limits_expire_and_are_renewed_by_other_results() -> None:
    limits = {"/v5": RateLimit(60, 4)}
    state = after(AccountState(ACCOUNT), make_result(ACCOUNT, make_failure(), 100.0, rate_limits=limits))
    assert state.as_of(129.9).rate_limits == limits
    assert state.valid_until == 130.0
    assert state.as_of(130.0).rate_limits == {}
    other = make_result(ACCOUNT, None, 120.0, Resource.API_KEY, rate_limits={"/other": RateLimit(5, 5)})
    renewed = after(state, other)
    assert renewed.as_of(149.9).rate_limits == {**limits, "/other": RateLimit(5, 5)}
    assert after(state, make_result(ACCOUNT, None, 200.0, Resource.API_KEY)) is state


def test_cached_value_survives_a_failure_until_it_expires() -> None:
    cached = Cached[int]().with_result(make_result(ACCOUNT, 5, 10.0, Resource.PRODUCTS))
    assert cached == Cached(5, 40.0, up=True)
    failed = cached.with_result(make_result(ACCOUNT, make_failure(), 20.0, Resource.PRODUCTS))
    assert failed == Cached(5, 40.0, up=False)
    assert failed.as_of(39.9) is failed
    assert failed.as_of(40.0) == Cached(None, up=False)


def test_cached_is_unavailable_if_the_exchange_does_not_offer_it() -> None:
    unavailable: JobResult[int] = make_result(ACCOUNT, make_failure(is_unavailable=True), 20.0, Resource.PRODUCTS)
    assert Cached[int]().with_result(unavailable) is UNAVAILABLE
    failed_before = Cached[int]().with_result(make_result(ACCOUNT, make_failure(), 10.0, Resource.PRODUCTS))
    assert failed_before == Cached(None, up=False)
    assert failed_before.with_result(unavailable) is UNAVAILABLE


@pytest.mark.parametrize(
    ("failure", "is_available"),
    [
        *((make_failure(reason), False) for reason in OF_ANY_REQUEST),
        (make_failure(FailureReason.AUTH, refuses_key=True), False),
        (make_failure(FailureReason.AUTH), True),
        (make_failure(FailureReason.MALFORMED), True),
        (make_failure(FailureReason.INTERNAL), True),
    ],
)
def test_cached_stays_unavailable_after_a_failure_that_may_happen_to_any_request(
    failure: Failure, is_available: bool
) -> None:
    after_failure = UNAVAILABLE.with_result(make_result(ACCOUNT, failure, 10.0, Resource.PRODUCTS))
    assert after_failure == (Cached(up=False) if is_available else UNAVAILABLE)
    assert after_failure.with_result(make_result(ACCOUNT, 5, 20.0, Resource.PRODUCTS)) == Cached(5, 50.0, up=True)


def test_limits_of_a_slow_answer_do_not_make_newer_ones_expire() -> None:
    state = after(AccountState(ACCOUNT), result(SNAPSHOT, 100.0))
    slow = make_result(ACCOUNT, None, 10.0, Resource.SUBACCOUNTS, rate_limits={"/slow": RateLimit(5, 4)})
    assert after(state, slow).as_of(129.9).rate_limits == {**LIMITS, "/slow": RateLimit(5, 4)}


def test_unified_state_does_not_expire_with_the_prices() -> None:
    unified = make_account(account_type=AccountType.UNIFIED)
    state = AccountState(unified, prices=Cached(MarketPrices({}, frozenset()), 7.0, up=True))
    polled = state.with_result(make_result(unified, SNAPSHOT, 5.0), 0.0)
    assert polled.valid_until == 35.0
    assert after(AccountState(ACCOUNT, prices=state.prices), result(SNAPSHOT, 5.0)).valid_until == 7.0
