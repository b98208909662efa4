"""A state that lasts is logged when it begins, when it changes and when it ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from bybit_exporter.bybit.errors import (
    BANNED,
    INTERNAL,
    NETWORK,
    RATE_LIMIT,
    TIMEOUT,
    BybitError,
    rule_for_ret_code,
)
from bybit_exporter.model import (
    Account,
    AccountSnapshot,
    AccountStatus,
    AccountType,
    ApiKey,
    MarketPrices,
    Resource,
    Secret,
    Subaccount,
    SubaccountStatus,
)
from bybit_exporter.polling.jobs.api_key import ApiKeyJob
from bybit_exporter.polling.jobs.job import Job
from bybit_exporter.polling.jobs.prices import PricesJob
from bybit_exporter.polling.jobs.subaccount_balances import SubaccountBalancesJob
from bybit_exporter.polling.jobs.subaccounts import SubaccountsJob
from bybit_exporter.polling.jobs.wallet import WalletJob
from bybit_exporter.polling.jobs.withdrawals import WithdrawalsJob
from bybit_exporter.polling.transition_log import TransitionLog
from tests.builders import EPOCH, make_account, make_result

MAIN = make_account("main", coins=("BTC",))
OTHER = make_account("other", coins=("BTC",), api_key=Secret("of another"))
NORMAL = AccountSnapshot(AccountStatus.NORMAL, (), "ACCOUNT_STATUS_NORMAL")
BANNED_BY_STATUS = AccountSnapshot(AccountStatus.BANNED, (), "ACCOUNT_STATUS_UNSPECIFIED")
REFUSED = BybitError(NETWORK, "connection refused")
Events = list[dict[str, Any]]


@pytest.fixture
def events() -> Iterator[Events]:
    with capture_logs() as captured:
        yield captured  # type: ignore[misc]


class Log:
    """A transition log that is given accounts and errors."""

    def __init__(self) -> None:
        self.log = TransitionLog()
        self.log.retain([MAIN, OTHER], keep=True)

    def succeeded(
        self, account: Account | None, outcome: Any, at: float = 0.0, resource: Resource = Resource.WALLET, **more: Any
    ) -> None:
        self.log.record(make_result(account, outcome, at, resource, **more), EPOCH + at + 10.0)

    def failed(
        self, account: Account, error: BybitError, at: float = 0.0, job: Job[Any] | None = None, **more: Any
    ) -> None:
        job = job or WalletJob(account)
        result = make_result((job.key[1] and account) or None, job.failure_of(error), at, job.resource, **more)
        self.log.record(result, EPOCH + at + 10.0)


@pytest.fixture
def log() -> Log:
    return Log()


def refusal(code: int) -> BybitError:
    return BybitError(rule_for_ret_code(code), "refused", code=f"retCode {code}")


def undocumented(word: str) -> AccountSnapshot:
    return AccountSnapshot(AccountStatus.UNKNOWN, (), word)


def logged_events(events: Events) -> list[str]:
    """The events above debug."""
    return [event["event"] for event in events if event["log_level"] != "debug"]


def test_repeated_success_is_not_logged(log: Log, events: Events) -> None:
    for now in range(5):
        log.succeeded(MAIN, NORMAL, now)
    assert events == []


def test_failure_is_logged_when_it_begins_and_ends(log: Log, events: Events) -> None:
    for now in (0.0, 10.0, 20.0):
        log.failed(MAIN, REFUSED, now)
    log.succeeded(MAIN, NORMAL, 90.4)
    log.succeeded(MAIN, NORMAL, 100.0)
    begun, still, still_again, ended = events
    assert begun == {
        "event": "the account cannot be read",
        "log_level": "warning",
        "account": "main",
        "account_type": "SPOT",
        "reason": "network",
        "error": "connection refused",
        "advice": NETWORK.advice,
        "next_poll_in": "10s",
    }
    assert still["log_level"] == still_again["log_level"] == "debug"
    assert (ended["event"], ended["reason"], ended["lasted"]) == ("the account can be read again", "network", "1m30s")


def test_failure_is_logged_when_it_changes(log: Log, events: Events) -> None:
    for rule in (NETWORK, TIMEOUT, TIMEOUT, NETWORK):
        log.failed(MAIN, BybitError(rule, "what happened"))
    assert [event["reason"] for event in events if event["log_level"] != "debug"] == ["network", "timeout", "network"]


def test_failure_with_another_code_is_a_change(log: Log, events: Events) -> None:
    for code in (10008, 10008, 10024):
        log.failed(MAIN, refusal(code))
    advice = [event["advice"] for event in events if event["log_level"] != "debug"]
    assert len(advice) == len(set(advice)) == 2


def test_duration_of_a_failure_includes_all_its_changes(log: Log, events: Events) -> None:
    log.failed(MAIN, BybitError(NETWORK, ""))
    log.failed(MAIN, BybitError(TIMEOUT, ""), 50.0)
    log.succeeded(MAIN, NORMAL, 60.0)
    assert events[-1]["lasted"] == "1m"


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (BybitError(NETWORK, ""), "warning"),
        (BybitError(RATE_LIMIT, ""), "warning"),
        (BybitError(rule_for_ret_code(10008), ""), "error"),
        (BybitError(BANNED, ""), "error"),
        (BybitError(INTERNAL, ""), "error"),
    ],
)
def test_failure_that_needs_the_operator_is_an_error(log: Log, events: Events, error: BybitError, level: str) -> None:
    log.failed(MAIN, error)
    assert events[0]["log_level"] == level


def test_unlisted_coin_is_logged_only_if_the_market_does_not_have_it(log: Log, events: Events) -> None:
    unlisted = AccountSnapshot(AccountStatus.NORMAL, (), "", ("BTC", "ETHH"))
    log.succeeded(MAIN, unlisted)
    assert events == [], "the market has not been read yet"
    market = MarketPrices({}, frozenset({"BTC", "ETH"}))
    log.succeeded(None, market, resource=Resource.PRICES)
    assert [event["coin"] for event in events] == ["ETHH"]
    for _ in range(2):
        log.succeeded(None, market, resource=Resource.PRICES)
        log.succeeded(MAIN, unlisted)
        log.succeeded(OTHER, AccountSnapshot(AccountStatus.NORMAL, (), "", ("BTC", "USDTT")))
    assert [(event["account"], event["coin"]) for event in events] == [("main", "ETHH"), ("other", "USDTT")]
    assert "typo" in logged_events(events)[0]


def test_undocumented_status_is_logged_once_with_its_raw_value(log: Log, events: Events) -> None:
    for word in ("FROZEN_\x1b[2J", "FROZEN_\x1b[2J", "HELD"):
        log.succeeded(MAIN, undocumented(word), 0.0)
    log.succeeded(MAIN, NORMAL, 0.0)
    assert [event.get("exchange_status") for event in events] == [
        '"FROZEN_\N{REPLACEMENT CHARACTER}[2J"',
        '"HELD"',
        None,
    ]
    assert logged_events(events)[-1] == "the exchange reports the account as normal again"


def test_ban_is_logged_once_as_an_error(log: Log, events: Events) -> None:
    for _ in range(3):
        log.succeeded(MAIN, BANNED_BY_STATUS, 0.0)
    log.succeeded(MAIN, NORMAL, 0.0)
    assert logged_events(events) == [
        "the exchange reports the account as banned",
        "the exchange reports the account as normal again",
    ]
    assert events[0]["log_level"] == "error"
    assert events[0]["advice"] == BANNED.advice


def test_key_is_warned_of_once_and_again_for_the_next_key(log: Log, events: Events) -> None:
    trades, renewed = ApiKey(False, False, EPOCH), dataclasses.replace(MAIN, api_key=Secret("another"))
    for account in (MAIN, MAIN, renewed, renewed):
        log.succeeded(account, trades, resource=Resource.API_KEY)
    assert [event.split(":")[0] for event in logged_events(events)] == 2 * [
        "the key expires soon",
        "this key can do more than read",
    ]
    log.succeeded(renewed, ApiKey(True, False, None), resource=Resource.API_KEY)
    log.succeeded(renewed, trades, resource=Resource.API_KEY)
    assert len(logged_events(events)) == 6


def test_key_that_may_withdraw_has_a_warning_of_its_own(log: Log, events: Events) -> None:
    log.succeeded(MAIN, ApiKey(False, False, None, can_withdraw=True), resource=Resource.API_KEY)
    assert [event.split(":")[0] for event in logged_events(events)] == ["this key may withdraw"]


SUBACCOUNTS = SubaccountsJob(MAIN, 60.0)


@pytest.mark.parametrize(
    ("job", "code", "says"),
    [
        (PricesJob(None, 60.0), 10008, "api.base_url"),
        (SUBACCOUNTS, 10008, "api.base_url"),
        (SUBACCOUNTS, 10005, "Subaccount Transfer"),
        (WalletJob(MAIN), 10005, "account's assets"),
        (WalletJob(MAIN), 10008, "write account_type: UNIFIED instead of account_type: SPOT"),
        (WalletJob(dataclasses.replace(MAIN, account_type=AccountType.AUTO)), 10008, "the account's type again"),
    ],
)
def test_advice_is_about_what_is_read(job: Job[Any], code: int, says: str, log: Log, events: Events) -> None:
    log.failed(MAIN, refusal(code), job=job)
    assert says in events[0]["advice"]
    assert ("account_type:" in events[0]["advice"]) == ("account_type:" in says)


def test_refused_key_is_one_line_whatever_is_read_with_it(log: Log, events: Events) -> None:
    twin = dataclasses.replace(MAIN, name="twin")
    log.log.retain([MAIN, twin, OTHER], keep=True)
    for account in (MAIN, twin):
        for job in (WalletJob(account), ApiKeyJob(account, 300.0), WithdrawalsJob(account, 60.0)):
            log.failed(account, refusal(10004), 0.0, job)
    log.failed(OTHER, refusal(10003), 0.0)
    first, second = (event for event in events if event["log_level"] != "debug")
    assert (first["event"], first["log_level"]) == ("the exchange refuses the key", "error")
    assert (first["accounts"], second["accounts"]) == ("main, twin", "other")
    assert "api_secret does not belong to api_key" in first["advice"]
    log.failed(MAIN, refusal(10010), 10.0)
    log.succeeded(twin, NORMAL, 60.0)
    log.succeeded(MAIN, NORMAL, 60.0)
    *_, changed, ended = events
    assert (changed["event"], changed["error"]) == ("the exchange refuses the key", "refused")
    assert (ended["event"], ended["accounts"]) == ("the exchange accepts the key again", "main, twin")
    assert ended["lasted"] == "1m"
    assert len([event for event in events if event["log_level"] != "debug"]) == 4


def test_wrong_secret_of_one_account_is_not_mixed_up_with_others_of_the_key(log: Log, events: Events) -> None:
    twin = dataclasses.replace(MAIN, name="twin", api_secret=Secret("wrong"))
    log.log.retain([MAIN, twin], keep=True)
    for moment in (0.0, 10.0):
        log.failed(twin, refusal(10004), moment)
        log.succeeded(MAIN, NORMAL, moment)
    logged = [(event["event"], event["accounts"]) for event in events if event["log_level"] != "debug"]
    assert logged == [("the exchange refuses the key", "twin")]


def test_failure_of_some_subaccounts_is_logged_once_until_none_fails(log: Log, events: Events) -> None:
    job = SubaccountBalancesJob(SUBACCOUNTS)

    def list_(*names: str) -> None:
        members = [Subaccount(name, name, SubaccountStatus.NORMAL, "1") for name in names]
        log.succeeded(MAIN, members, resource=Resource.SUBACCOUNTS)

    for name in ("a", "b"):
        log.failed(MAIN, REFUSED, job=job, subaccount=name)
    list_("c")  # those that failed are gone
    log.succeeded(MAIN, [], resource=Resource.SUBACCOUNT_BALANCES, subaccount="c")
    log.failed(MAIN, REFUSED, job=job, subaccount="d")
    begun, ended = "the balances of subaccounts cannot be read", "the balances of subaccounts can be read again"
    assert logged_events(events) == [begun, ended, begun]


def test_resource_that_is_not_available_is_one_warning(log: Log, events: Events) -> None:
    """Also if other failures come in between that say nothing about it."""
    job = WithdrawalsJob(MAIN, 60.0)
    for error in (refusal(10005), REFUSED, refusal(10005), refusal(10016), refusal(10005)):
        log.failed(MAIN, error, job=job)
    assert logged_events(events) == ["not available here: withdrawals"]
    assert events[0]["log_level"] == "warning"
    log.succeeded(MAIN, {}, resource=Resource.WITHDRAWALS)
    log.failed(MAIN, REFUSED, job=job)
    assert logged_events(events)[1:] == ["the withdrawals can be read again", "the withdrawals cannot be read"]


def test_subaccount_that_is_restricted_is_logged_until_it_is_normal(log: Log, events: Events) -> None:
    for status in (SubaccountStatus.FROZEN, SubaccountStatus.FROZEN, SubaccountStatus.NORMAL):
        log.succeeded(MAIN, [Subaccount("1", "one", status, "4")], resource=Resource.SUBACCOUNTS)
    assert logged_events(events) == [
        "the exchange restricts a subaccount",
        "the exchange reports the subaccount as normal again",
    ]


def test_failures_of_accounts_are_logged_separately(log: Log, events: Events) -> None:
    log.failed(MAIN, REFUSED)
    log.failed(OTHER, REFUSED)
    log.succeeded(OTHER, NORMAL, 10.0)
    assert [event["account"] for event in events] == ["main", "other", "other"]


def test_removed_account_is_forgotten(log: Log, events: Events) -> None:
    log.failed(MAIN, REFUSED)
    log.log.retain([OTHER], keep=True)
    log.failed(MAIN, REFUSED)
    log.log.retain([MAIN], keep=True)
    log.failed(MAIN, REFUSED)
    assert logged_events(events) == ["the account cannot be read"] * 2


def test_failure_is_logged_again_after_a_change_of_the_exchange(log: Log, events: Events) -> None:
    log.failed(MAIN, REFUSED)
    log.failed(OTHER, refusal(10003))
    log.log.retain([MAIN, OTHER], keep=False)
    log.failed(MAIN, REFUSED)
    log.failed(OTHER, refusal(10003))
    assert logged_events(events) == 2 * ["the account cannot be read", "the exchange refuses the key"]
