"""Every way in which the exchange or the network can fail, and what then: the one table of it.

https://bybit-exchange.github.io/docs/v5/error
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from ..model import AccountType, RateLimit
from ..model import FailureReason as Reason

SLOW_RETRY_SECONDS = 300.0
"""A refusal that only a person can end is asked about this seldom."""

PAUSE_ALL_SECONDS = 600.0
"""The exchange lifts a block of an IP address after ten minutes without a request."""

MAX_PAUSE_ALL_SECONDS = 86_400.0
MAX_RESET_SECONDS = 600.0
"""Limits are windows of a minute at most: a reset announced further ahead is not believed."""

QUOTED_CHARACTERS = 100


class RetryPolicy(Enum):
    """What follows a failure."""

    RETRY_ONCE = "one more try at once, then at the usual interval"
    NEXT_INTERVAL = "asked at the usual interval"
    SLOW_RETRY = "asked every 5 minutes"
    AFTER_RESET = "asked when the exchange says that the limit resets"
    PAUSE_ALL = "no account is asked for 10 minutes, or for as long as Retry-After says"
    SYNC_CLOCK = "the exchange's clock is read and the request repeated once"


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One row of the table: which failures it is about, what follows, and what to tell the user."""

    reason: Reason
    retry: RetryPolicy
    advice: str
    ret_codes: tuple[int, ...] = ()
    http_statuses: tuple[int, ...] = ()
    seen: str = ""
    """What it looks like, where the codes do not say."""


NETWORK = ErrorRule(
    Reason.NETWORK,
    RetryPolicy.RETRY_ONCE,
    "check the network, DNS, proxy and firewall between here and the exchange",
    seen="connection refused, reset or cut off; DNS; TLS",
)
TIMEOUT = ErrorRule(
    Reason.TIMEOUT,
    RetryPolicy.RETRY_ONCE,
    "the exchange or the network is slow; raise api.timeout if it stays so",
    seen="no complete answer within api.timeout",
)
SERVER = ErrorRule(
    Reason.SERVER,
    RetryPolicy.RETRY_ONCE,
    "a fault at the exchange: nothing to do here unless it lasts; see https://bybit-exchange.github.io/docs/v5/error",
    ret_codes=(10000, 10016, 131001, 131003, 131200, 131201, 131230),
    seen="HTTP 5xx",
)
RATE_LIMIT = ErrorRule(
    Reason.RATE_LIMIT,
    RetryPolicy.AFTER_RESET,
    "someone else uses up this account's limit, or poll_interval is too short for it",
    ret_codes=(10006,),
)
IP_RATE_LIMIT = ErrorRule(
    Reason.IP_RATE_LIMIT,
    RetryPolicy.PAUSE_ALL,
    "this address sends the exchange too many requests: lower api.max_requests_per_second, and look for other"
    " programs behind the same address",
    ret_codes=(10018,),
    http_statuses=(429,),
    seen='HTTP 403 "access too frequent"',
)
CLOCK = ErrorRule(
    Reason.CLOCK,
    RetryPolicy.SYNC_CLOCK,
    "this machine's clock is off, or the way to the exchange takes longer than api.recv_window: synchronise the"
    " clock (chrony, systemd-timesyncd)",
    ret_codes=(10002, -1),
)
BANNED = ErrorRule(
    Reason.BANNED,
    RetryPolicy.NEXT_INTERVAL,
    "the exchange has banned the account: contact its support",
    ret_codes=(10027,),
)
REQUEST = ErrorRule(
    Reason.REQUEST,
    RetryPolicy.NEXT_INTERVAL,
    "the exchange rejects a parameter: check the account's coins",
    ret_codes=(10001,),
    http_statuses=(400,),
)
REGION = ErrorRule(
    Reason.REGION,
    RetryPolicy.SLOW_RETRY,
    "the exchange does not serve this region: use the host of the account's region as api.base_url",
    ret_codes=(10009, 10024),
    seen="HTTP 403 for any other cause",
)
ACCOUNT_MODE = ErrorRule(
    Reason.ACCOUNT_MODE,
    RetryPolicy.SLOW_RETRY,
    "the account is not of the type that account_type says: write account_type: UNIFIED for a unified account,"
    " account_type: SPOT for a classic one, or account_type: auto; if it could be read before, look whether Bybit has"
    " banned the user",
    ret_codes=(10008, 10028, 100028),
    http_statuses=(404,),
)
MALFORMED = ErrorRule(
    Reason.MALFORMED,
    RetryPolicy.NEXT_INTERVAL,
    "the answer is not what the exchange documents: check api.base_url and any proxy on the way",
    seen="not JSON, a missing field, a wrong type, no finite number, a coin twice, more than 1 MiB, a redirect",
)
API = ErrorRule(
    Reason.API,
    RetryPolicy.NEXT_INTERVAL,
    "see https://bybit-exchange.github.io/docs/v5/error for the code",
    seen="any other retCode",
)
INTERNAL = ErrorRule(
    Reason.INTERNAL,
    RetryPolicy.NEXT_INTERVAL,
    "a fault of the exporter: please report it with this log",
    seen="an exception in the exporter",
)


def _auth(advice: str, *ret_codes: int, http_statuses: tuple[int, ...] = ()) -> ErrorRule:
    return ErrorRule(Reason.AUTH, RetryPolicy.SLOW_RETRY, advice, ret_codes, http_statuses)


MEMBER_GONE = ErrorRule(
    Reason.REQUEST,
    RetryPolicy.NEXT_INTERVAL,
    "the subaccount is gone: nothing to do, it ends with the next list of subaccounts",
    ret_codes=(131202, 131207),
)
UNKNOWN_STATUS_ADVICE = "log in at Bybit and look whether the account can trade and withdraw"

NO_PERMISSION = _auth("the key lacks a permission: let it read the account's assets (read-only is enough)", 10005)

ERROR_RULES: tuple[ErrorRule, ...] = (
    NETWORK,
    TIMEOUT,
    SERVER,
    RATE_LIMIT,
    IP_RATE_LIMIT,
    CLOCK,
    _auth(
        "the exchange does not know the key here: check api_key, and that api.environment is the one it was made in",
        10003,
    ),
    _auth("the signature is wrong: api_secret does not belong to api_key", 10004),
    NO_PERMISSION,
    _auth(
        "the exchange does not accept the key: check that it still exists and is active",
        10007,
        http_statuses=(401,),
    ),
    _auth("the address of this machine is not bound to the key: add it to the key's IP addresses", 10010),
    _auth("the key has expired: make a new one", 33004, -2015),
    ACCOUNT_MODE,
    REGION,
    BANNED,
    REQUEST,
    MEMBER_GONE,
    MALFORMED,
    API,
    INTERNAL,
)

_BY_RET_CODE = {code: rule for rule in ERROR_RULES for code in rule.ret_codes}
_BY_HTTP_STATUS = {status: rule for rule in ERROR_RULES for status in rule.http_statuses}


class BybitError(Exception):
    """A request that brought no result: the rule that applies, and what was seen.

    `seen` is text from outside, shown as far as it is fit for a log. `code` tells apart the cases of one rule, such as
    ``retCode 10003``. `rate_limits` is what the answer, if there was one, said of the limit on its endpoint.
    `reset_at_ms` (Unix time by the exchange's clock) and `retry_after_seconds` are as the exchange sent them.
    """

    def __init__(
        self,
        rule: ErrorRule,
        detail: str,
        *,
        seen: str | None = None,
        code: str = "",
        reset_at_ms: int | None = None,
        retry_after_seconds: float = 0.0,
    ) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail
        self.seen = seen
        self.code = code
        self.rate_limits: Mapping[str, RateLimit] = {}
        self.reset_at_ms = reset_at_ms
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return self.detail if self.seen is None else f"{self.detail}: {quote(self.seen)}"

    def prefix_path(self, path: str) -> None:
        """Says of what the field is a part that the detail begins with."""
        self.detail = f"{path}.{self.detail}"

    def redact(self, text: str) -> None:
        """Takes a text out of what is seen."""
        if self.seen is not None:
            self.seen = self.seen.replace(text, "***")

    @property
    def reason(self) -> Reason:
        return self.rule.reason

    @property
    def refuses_key(self) -> bool:
        """Whether the key is refused whatever it asks for."""
        return self.rule.reason is Reason.AUTH and self.rule is not NO_PERMISSION

    @property
    def needs_operator(self) -> bool:
        """Whether the failure lasts until a person does something."""
        return self.rule.retry is RetryPolicy.SLOW_RETRY or self.rule in (BANNED, INTERNAL)

    def wait_seconds(self, exchange_now: float) -> float:
        """How long the account must not be asked; 0 means until its next interval.

        `exchange_now` is Unix time by the exchange's clock.
        """
        if self.rule.retry is RetryPolicy.SLOW_RETRY:
            return SLOW_RETRY_SECONDS
        if self.rule.retry is RetryPolicy.PAUSE_ALL:
            return min(max(PAUSE_ALL_SECONDS, self.retry_after_seconds), MAX_PAUSE_ALL_SECONDS)
        if self.rule.retry is RetryPolicy.AFTER_RESET and self.reset_at_ms is not None:
            ahead = self.reset_at_ms / 1000 - exchange_now
            return ahead if 0 < ahead <= MAX_RESET_SECONDS else 0.0
        return 0.0


_INSTEAD = {
    AccountType.SPOT: "this is a unified account, which has no classic spot wallet: write account_type: UNIFIED instead"
    " of account_type: SPOT; if it could be read before, look whether Bybit has banned the user",
    AccountType.UNIFIED: "this is a classic account: write account_type: SPOT instead of account_type: UNIFIED",
    AccountType.AUTO: "its type is found out again, since it may have been upgraded; if this goes on, look whether"
    " Bybit has banned the user",
}


def advice(error: BybitError, account_type: AccountType) -> str:
    """What to tell the user about a failure of an account that is configured with this type."""
    if error.reason is Reason.ACCOUNT_MODE:
        return _INSTEAD.get(account_type, error.rule.advice)
    return error.rule.advice


def resource_advice(error: BybitError) -> str:
    """What to tell the user about a failure of something that is read beside the polls: they say what type it is."""
    if error.reason is Reason.ACCOUNT_MODE:
        return "the exchange does not offer this here: check api.base_url and any proxy on the way"
    if error.rule is NO_PERMISSION:
        return (
            "the key lacks a permission, or is not one of a master account; for subaccounts tick Account Transfer or"
            " Subaccount Transfer (read-only is enough)"
        )
    return error.rule.advice


def rule_for_ret_code(code: int) -> ErrorRule:
    """The row for a ``retCode`` other than 0."""
    return _BY_RET_CODE.get(code, API)


def rule_for_http_status(status: int, body: bytes) -> ErrorRule:
    """The row for an HTTP status other than 200."""
    if status == 403:
        return _rule_for_forbidden(body)
    if status >= 500:
        return SERVER
    if status >= 400:
        return _BY_HTTP_STATUS.get(status, REQUEST)
    return MALFORMED


def _rule_for_forbidden(body: bytes) -> ErrorRule:
    """403 is said for many reasons; what comes with it tells which."""
    if b"too frequent" in body.lower():
        return IP_RATE_LIMIT
    code = re.search(rb'"retCode"\s*:\s*(-?[0-9]{1,9})\b', body)
    return _BY_RET_CODE.get(int(code[1]), REGION) if code else REGION


def quote(text: str) -> str:
    """The beginning of a text from outside, fit for a log: printable, on one line, at most 100 characters."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: QUOTED_CHARACTERS + 1])
    return f'"{shown}"' if len(shown) <= QUOTED_CHARACTERS else f'"{shown[: QUOTED_CHARACTERS - 1]}…"'
