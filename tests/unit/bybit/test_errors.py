"""The table of failures, compared with a second copy of it."""

from __future__ import annotations

import re

import pytest

from bybit_exporter.bybit.errors import (
    ACCOUNT_TYPE_REJECTED,
    API,
    BANNED_ADVICE,
    CLOCK,
    ERROR_RULES,
    INTERNAL,
    IP_RATE_LIMIT,
    MALFORMED,
    MAX_PAUSE_ALL_SECONDS,
    MEMBER_GONE,
    NETWORK,
    NO_PERMISSION,
    PAUSE_ALL_SECONDS,
    RATE_LIMIT,
    REGION,
    SLOW_RETRY_SECONDS,
    TIMEOUT,
    BybitError,
    ErrorRule,
    RetryPolicy,
    advice,
    quote,
    resource_advice,
    rule_for_http_status,
    rule_for_ret_code,
)
from bybit_exporter.model import AccountType, FailureReason
from tools import documents

RET_CODES = {
    **dict.fromkeys(
        (10000, 10016, 429, 10429, 131001, 131003, 131200, 131201, 131230), ("server", RetryPolicy.RETRY_ONCE)
    ),
    10006: ("rate_limit", RetryPolicy.AFTER_RESET),
    10018: ("ip_rate_limit", RetryPolicy.PAUSE_ALL),
    **dict.fromkeys((10002, -1), ("clock", RetryPolicy.SYNC_CLOCK)),
    **dict.fromkeys((10003, 10004, 10005, 10007, 10010, 33004, -2015), ("auth", RetryPolicy.SLOW_RETRY)),
    **dict.fromkeys((10008, 10028, 100028, 10017, 10404), ("account_mode", RetryPolicy.SLOW_RETRY)),
    **dict.fromkeys((10009, 10024), ("region", RetryPolicy.SLOW_RETRY)),
    10027: ("banned", RetryPolicy.NEXT_INTERVAL),
    **dict.fromkeys((10001, 131202, 131207), ("request", RetryPolicy.NEXT_INTERVAL)),
    **dict.fromkeys((170130, -999, 10**12), ("api", RetryPolicy.NEXT_INTERVAL)),
}


@pytest.mark.parametrize(("code", "outcome"), RET_CODES.items())
def test_ret_code_has_the_agreed_reason_and_retry(code: int, outcome: tuple[str, RetryPolicy]) -> None:
    rule = rule_for_ret_code(code)
    assert (rule.reason, rule.retry) == outcome


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, b"", "server"),
        (502, b"", "server"),
        (503, b"too frequent", "server"),
        (599, b"", "server"),
        (429, b"", "ip_rate_limit"),
        (429, b'{"retCode":10018}', "ip_rate_limit"),
        (429, b'{"retCode":10429,"retMsg":"System level frequency protection"}', "server"),
        (429, b'{"retCode":10006}', "rate_limit"),
        (403, b"access too frequent", "ip_rate_limit"),
        (403, b"403, Access Too Frequent. Please try again later.", "ip_rate_limit"),
        (403, b'{"retCode":10018,"retMsg":"Exceeded the IP Rate Limit."}', "ip_rate_limit"),
        (403, b'{ "retCode" : 10010, "retMsg":""}', "auth"),
        (403, b'{"retCode":10027}', "banned"),
        (403, b'{"retCode":123}', "region"),
        (403, b'{"retCode":100270}', "region"),
        (403, b"", "region"),
        (403, b"<html>configured to block access from your country", "region"),
        (401, b"", "auth"),
        (404, b"", "account_mode"),
        (404, b'{"retCode":10017}', "account_mode"),
        (400, b"", "request"),
        (418, b"", "request"),
        (302, b"", "malformed"),
        *((status, b'{"retCode":10027}', "banned") for status in (203, 302, 400, 401, 404, 418, 429, 500, 503)),
        *((status, b'{"retCode":10002}', "clock") for status in (400, 401, 403, 500)),
        *((status, b'{"retCode":10018}', "ip_rate_limit") for status in (400, 403, 503)),
        (400, b'{"retCode":10001,"retMsg":"accountType only support UNIFIED."}', "account_mode"),
        (404, b'{"retCode":10003}', "auth"),
        (401, b'{"retCode":123}', "auth"),
        (400, b'{"retCode":0}', "request"),
        *((500, b'{"retCode":%d}' % code, "server") for code in (0, 123, 10001, 10003, 10008, 10016)),
        (204, b"", "malformed"),
    ],
)
def test_http_status_has_the_agreed_reason(status: int, body: bytes, reason: str) -> None:
    assert rule_for_http_status(status, body).reason == reason


def test_table_covers_every_reason_and_no_code_twice() -> None:
    assert {rule.reason for rule in ERROR_RULES} == set(FailureReason)
    codes = [code for rule in ERROR_RULES for code in rule.ret_codes]
    statuses = [status for rule in ERROR_RULES for status in rule.http_statuses]
    assert len(set(codes)) == len(codes)
    assert len(set(statuses)) == len(statuses)
    assert all(rule.recognised_by or rule.ret_codes or rule.http_statuses for rule in ERROR_RULES)
    assert len({rule.advice for rule in ERROR_RULES}) == len(ERROR_RULES)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (10003, "api.environment"),
        (10004, "api_secret"),
        (10005, "permission"),
        (10010, "IP addresses"),
        (33004, "expired"),
        (-2015, "expired"),
        (10008, "account_type: UNIFIED"),
        (10028, "account_type: UNIFIED"),
        (100028, "account_type: UNIFIED"),
        (10024, "api.base_url"),
    ],
)
def test_advice_fits_the_ret_code(code: int, words: str) -> None:
    assert words in rule_for_ret_code(code).advice


@pytest.mark.parametrize(
    "message", ["accountType only support UNIFIED.", "Invalid accounttype", "account type error", "bad account_type"]
)
def test_parameter_error_about_the_account_type_is_account_mode(message: str) -> None:
    rule = rule_for_ret_code(10001, message)
    assert rule is ACCOUNT_TYPE_REJECTED
    assert (rule.reason, rule.retry) == ("account_mode", RetryPolicy.SLOW_RETRY)
    for account_type in AccountType:
        text = advice(BybitError(rule, ""), account_type)
        assert "account_type" in text
        assert "coins" not in text


@pytest.mark.parametrize(("code", "message"), [(10001, "coin invalid"), (10001, ""), (10006, "accountType")])
def test_other_refusal_is_not_about_the_account_type(code: int, message: str) -> None:
    assert rule_for_ret_code(code, message) is rule_for_ret_code(code)
    assert rule_for_ret_code(code, message).reason != "account_mode"


@pytest.mark.parametrize("account_type", AccountType)
@pytest.mark.parametrize("rule", [rule_for_http_status(404, b""), rule_for_ret_code(10017), rule_for_ret_code(10404)])
def test_advice_on_not_found_states_no_account_type(rule: ErrorRule, account_type: AccountType) -> None:
    text = advice(BybitError(rule, ""), account_type)
    assert {"account_type", "api.base_url", "api.environment"} <= set(re.findall(r"[a-z_.]+[a-z]", text))
    assert not any(word in text for word in ("SPOT", "UNIFIED", "classic", "unified"))


@pytest.mark.parametrize(
    ("account_type", "words"),
    [
        (AccountType.SPOT, "write account_type: UNIFIED instead of account_type: SPOT"),
        (AccountType.UNIFIED, "write account_type: SPOT instead of account_type: UNIFIED"),
        (AccountType.AUTO, "asks for the account's type again"),
        (AccountType.FUND, "does not offer the funding wallet"),
    ],
)
@pytest.mark.parametrize("code", [10008, 10028, 100028])
def test_advice_on_the_other_account_mode_is_precise(code: int, account_type: AccountType, words: str) -> None:
    assert words in advice(BybitError(rule_for_ret_code(code), ""), account_type)


@pytest.mark.parametrize("code", [10008, 10017, 10404])
def test_resource_advice_blames_the_host_not_the_account_type(code: int) -> None:
    text = resource_advice(BybitError(rule_for_ret_code(code), ""))
    assert "api.base_url" in text
    assert "account_type" not in text


def test_resource_advice_on_a_missing_permission_names_those_of_subaccounts() -> None:
    assert "Subaccount Transfer" in resource_advice(BybitError(NO_PERMISSION, ""))
    assert resource_advice(BybitError(NETWORK, "")) == NETWORK.advice


@pytest.mark.parametrize("code", [131202, 131207])
def test_missing_member_is_recognised(code: int) -> None:
    assert rule_for_ret_code(code) is MEMBER_GONE


def test_ban_has_the_same_advice_as_a_refusal_and_as_a_status() -> None:
    assert rule_for_ret_code(10027).advice == BANNED_ADVICE


def test_every_rule_has_advice() -> None:
    assert [rule for rule in ERROR_RULES if len(rule.advice) < 20] == []


OPERATOR_REASONS = {"auth", "account_mode", "region", "banned", "internal"}


@pytest.mark.parametrize("rule", ERROR_RULES, ids=lambda rule: rule.advice[:40])
def test_operator_is_needed_where_waiting_does_not_help(rule: ErrorRule) -> None:
    assert BybitError(rule, "").needs_operator == (rule.reason in OPERATOR_REASONS)


NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (BybitError(NETWORK, ""), 0.0),
        (BybitError(TIMEOUT, ""), 0.0),
        (BybitError(CLOCK, ""), 0.0),
        (BybitError(INTERNAL, ""), 0.0),
        (BybitError(API, ""), 0.0),
        (BybitError(MALFORMED, "", retry_after_seconds=900.0), 0.0),
        (BybitError(REGION, ""), SLOW_RETRY_SECONDS),
        (BybitError(RATE_LIMIT, ""), 0.0),
        (BybitError(RATE_LIMIT, "", reset_at_ms=int(NOW * 1000) + 42_500), 42.5),
        (BybitError(RATE_LIMIT, "", reset_at_ms=int(NOW * 1000)), 0.0),
        (BybitError(RATE_LIMIT, "", reset_at_ms=int(NOW * 1000) - 1), 0.0),
        (BybitError(RATE_LIMIT, "", reset_at_ms=0), 0.0),
        (BybitError(RATE_LIMIT, "", reset_at_ms=int(NOW * 1000) + 600_000), 600.0),
        (BybitError(RATE_LIMIT, "", reset_at_ms=int(NOW * 1000) + 600_001), 0.0),
        (BybitError(RATE_LIMIT, "", reset_at_ms=10**18 - 1), 0.0),
        (BybitError(IP_RATE_LIMIT, ""), PAUSE_ALL_SECONDS),
        (BybitError(IP_RATE_LIMIT, "", retry_after_seconds=5.0), PAUSE_ALL_SECONDS),
        (BybitError(IP_RATE_LIMIT, "", retry_after_seconds=1800.0), 1800.0),
        (BybitError(IP_RATE_LIMIT, "", retry_after_seconds=1e17), MAX_PAUSE_ALL_SECONDS),
    ],
)
def test_wait_seconds_follow_the_retry_policy(error: BybitError, seconds: float) -> None:
    assert error.wait_seconds(NOW) == pytest.approx(seconds)


def test_long_waits_are_as_agreed() -> None:
    assert (SLOW_RETRY_SECONDS, PAUSE_ALL_SECONDS) == (300.0, 600.0)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", '""'),
        ("plain", '"plain"'),
        ("x" * 100, '"' + "x" * 100 + '"'),
        ("x" * 101, '"' + "x" * 99 + '…"'),
        ("x" * 1_000_000, '"' + "x" * 99 + '…"'),
        ("two\nlines\r\x1b[31m\x00\u202e", '"two�lines��[31m��"'),
    ],
)
def test_quote_is_short_and_printable(text: str, shown: str) -> None:
    assert quote(text) == shown


def test_redacted_text_is_hidden_also_at_the_cut() -> None:
    error = BybitError(API, "retCode 1", received_text="x" * 90 + "canary" + "y" * 90 + "canary")
    error.redact("canary")
    assert "can" not in str(error)
    assert str(error).startswith('retCode 1: "xxx')


def test_error_without_received_text_shows_its_detail() -> None:
    error = BybitError(TIMEOUT, "no complete answer")
    error.redact("answer")
    assert str(error) == "no complete answer"


def test_troubleshooting_has_this_table() -> None:
    text = documents.TROUBLESHOOTING.read_text()
    for rule in ERROR_RULES:
        assert f"| `{rule.reason}` |" in text
        assert f"| {rule.advice} |" in text
