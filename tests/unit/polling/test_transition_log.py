"""What lasts is told when it begins, when it changes and when it ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from bybit_exporter.bybit.errors import BANNED, INTERNAL, NETWORK, RATE_LIMIT, TIMEOUT, BybitError, rule_for_ret_code
from bybit_exporter.model import Account, AccountSnapshot, AccountStatus, AccountType, ApiKey, Secret
from bybit_exporter.polling.transition_log import TransitionLog

MAIN = Account("main", AccountType.SPOT, ("BTC",), Secret("k"), Secret("s"), 10.0, 30.0)
OTHER = Account("other", AccountType.SPOT, ("BTC",), Secret("k"), Secret("s"), 10.0, 30.0)
NORMAL = AccountSnapshot(AccountStatus.NORMAL, (), "ACCOUNT_STATUS_NORMAL")
BANNED_BY_STATUS = AccountSnapshot(AccountStatus.BANNED, (), "ACCOUNT_STATUS_UNSPECIFIED")
REFUSED = BybitError(NETWORK, "connection refused")
Events = list[dict[str, Any]]


@pytest.fixture
def events() -> Iterator[Events]:
    with capture_logs() as captured:
        yield captured  # type: ignore[misc]


@pytest.fixture
def journal() -> TransitionLog:
    return TransitionLog()


def undocumented(word: str) -> AccountSnapshot:
    return AccountSnapshot(AccountStatus.UNKNOWN, (), word)


def told(events: Events) -> list[str]:
    """The news: everything above debug."""
    return [event["event"] for event in events if event["log_level"] != "debug"]


def test_all_is_well(journal: TransitionLog, events: Events) -> None:
    for now in range(5):
        journal.succeeded(MAIN, NORMAL, now)
    assert events == []


def test_a_failure_is_told_when_it_begins_and_when_it_ends(journal: TransitionLog, events: Events) -> None:
    for now in (0.0, 10.0, 20.0):
        journal.failed(MAIN, REFUSED, now, 10.0)
    journal.succeeded(MAIN, NORMAL, 90.4)
    journal.succeeded(MAIN, NORMAL, 100.0)
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


def test_a_failure_is_told_when_it_changes(journal: TransitionLog, events: Events) -> None:
    for rule in (NETWORK, TIMEOUT, TIMEOUT, NETWORK):
        journal.failed(MAIN, BybitError(rule, "what happened"), 0.0, 10.0)
    assert [event["reason"] for event in events if event["log_level"] != "debug"] == ["network", "timeout", "network"]


def test_another_code_with_another_remedy_is_a_change(journal: TransitionLog, events: Events) -> None:
    for code in (10003, 10003, 10010):
        journal.failed(MAIN, BybitError(rule_for_ret_code(code), "", code=f"retCode {code}"), 0.0, 300.0)
    advice = [event["advice"] for event in events if event["log_level"] != "debug"]
    assert len(advice) == len(set(advice)) == 2


def test_a_failure_lasts_from_its_beginning_through_all_changes(journal: TransitionLog, events: Events) -> None:
    journal.failed(MAIN, BybitError(NETWORK, ""), 0.0, 10.0)
    journal.failed(MAIN, BybitError(TIMEOUT, ""), 50.0, 10.0)
    journal.succeeded(MAIN, NORMAL, 60.0)
    assert events[-1]["lasted"] == "1m"


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (BybitError(NETWORK, ""), "warning"),
        (BybitError(RATE_LIMIT, ""), "warning"),
        (BybitError(rule_for_ret_code(10003), ""), "error"),
        (BybitError(rule_for_ret_code(10008), ""), "error"),
        (BybitError(BANNED, ""), "error"),
        (BybitError(INTERNAL, ""), "error"),
    ],
)
def test_what_only_a_person_can_mend_is_an_error(
    journal: TransitionLog, events: Events, error: BybitError, level: str
) -> None:
    journal.failed(MAIN, error, 0.0, 10.0)
    assert events[0]["log_level"] == level


def test_a_coin_that_is_not_listed_is_told_once(journal: TransitionLog, events: Events) -> None:
    for coins in (("ETH",), ("ETH",), ("BTC", "ETH"), ()):
        journal.succeeded(MAIN, AccountSnapshot(AccountStatus.NORMAL, (), "", coins), 0.0)
    assert [event["coin"] for event in events] == ["ETH", "BTC"]
    assert "typo" in told(events)[0]


def test_an_undocumented_status_is_told_once_with_its_raw_value(journal: TransitionLog, events: Events) -> None:
    for word in ("FROZEN_\x1b[2J", "FROZEN_\x1b[2J", "HELD"):
        journal.succeeded(MAIN, undocumented(word), 0.0)
    journal.succeeded(MAIN, NORMAL, 0.0)
    assert [event.get("exchange_status") for event in events] == [
        '"FROZEN_\N{REPLACEMENT CHARACTER}[2J"',
        '"HELD"',
        None,
    ]
    assert told(events)[-1] == "the exchange reports the account as normal again"


def test_a_ban_is_an_error_told_once(journal: TransitionLog, events: Events) -> None:
    for _ in range(3):
        journal.succeeded(MAIN, BANNED_BY_STATUS, 0.0)
    journal.succeeded(MAIN, NORMAL, 0.0)
    assert told(events) == [
        "the exchange reports the account as banned",
        "the exchange reports the account as normal again",
    ]
    assert events[0]["log_level"] == "error"


def test_what_is_wrong_with_a_key_is_told_once_and_again_of_the_next_one(
    journal: TransitionLog, events: Events
) -> None:
    trades, renewed = ApiKey(False, False, 1000.0), dataclasses.replace(MAIN, api_key=Secret("another"))
    for account in (MAIN, MAIN, renewed, renewed):
        journal.key(account, trades, 0.0)
    assert [event.split(":")[0] for event in told(events)] == 2 * [
        "this key can do more than read",
        "the key expires soon",
    ]
    journal.key(renewed, ApiKey(True, False, None), 0.0)
    journal.key(renewed, trades, 0.0)
    assert len(told(events)) == 6


@pytest.mark.parametrize(
    ("account", "what", "code", "says"),
    [
        (None, "prices", 10008, "api.base_url"),
        (MAIN, "subaccounts", 10008, "api.base_url"),
        (MAIN, "subaccounts", 10005, "Subaccount Transfer"),
        (MAIN, "account", 10005, "account's assets"),
        (MAIN, "account", 10008, "write account_type: UNIFIED instead of account_type: SPOT"),
        (dataclasses.replace(MAIN, account_type=AccountType.AUTO), "account", 10008, "found out again"),
    ],
)
def test_the_advice_is_about_what_is_read(
    account: Account | None, what: str, code: int, says: str, journal: TransitionLog, events: Events
) -> None:
    journal.failed(account, BybitError(rule_for_ret_code(code), "refused"), 0.0, 10.0, what)
    assert says in events[0]["advice"]
    assert ("account_type:" in events[0]["advice"]) == ("account_type:" in says)


def test_accounts_are_told_apart(journal: TransitionLog, events: Events) -> None:
    journal.failed(MAIN, REFUSED, 0.0, 10.0)
    journal.failed(OTHER, REFUSED, 0.0, 10.0)
    journal.succeeded(OTHER, NORMAL, 10.0)
    assert [event["account"] for event in events] == ["main", "other", "other"]


def test_what_is_taken_out_is_forgotten(journal: TransitionLog, events: Events) -> None:
    journal.failed(MAIN, REFUSED, 0.0, 10.0)
    journal.keep([OTHER])
    journal.failed(MAIN, REFUSED, 0.0, 10.0)
    journal.keep([MAIN])
    journal.failed(MAIN, REFUSED, 0.0, 10.0)
    assert told(events) == ["the account cannot be read"] * 2
