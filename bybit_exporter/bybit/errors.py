"""The table of failures: how each is recognised, when the request is repeated, and what to tell the user.

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
"""Time to the next attempt after a refusal that lasts until a person acts."""

PAUSE_ALL_SECONDS = 600.0
"""The exchange unblocks an IP address after ten minutes without a request."""

MAX_PAUSE_ALL_SECONDS = 86_400.0
MAX_RESET_SECONDS = 600.0
"""Limits are windows of a minute at most. A reset announced further ahead is ignored."""

QUOTED_CHARACTERS = 100


class RetryPolicy(Enum):
    """When the request is repeated. The values are texts for docs/troubleshooting.md."""

    RETRY_ONCE = "repeated once immediately, then at the usual interval"
    NEXT_INTERVAL = "repeated at the usual interval"
    SLOW_RETRY = "repeated every 5 minutes"
    AFTER_RESET = "repeated when the limit resets, as announced by the exchange"
    PAUSE_ALL = "all requests of all accounts pause for 10 minutes, or longer if Retry-After says so"
    SYNC_CLOCK = "the exchange's clock is read, then the request is repeated once"


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One row of the table: which failures it covers, when the request is repeated, and what to tell the user."""

    reason: Reason
    retry: RetryPolicy
    advice: str
    ret_codes: tuple[int, ...] = ()
    http_statuses: tuple[int, ...] = ()
    recognised_by: str = ""
    """How the failure is recognised, if not by a code."""


NETWORK = ErrorRule(
    Reason.NETWORK,
    RetryPolicy.RETRY_ONCE,
    "check the network, DNS, proxy and firewall between this machine and the exchange",
    recognised_by="connection refused, reset or cut off; DNS; TLS",
)
TIMEOUT = ErrorRule(
    Reason.TIMEOUT,
    RetryPolicy.RETRY_ONCE,
    "the exchange or the network is slow: raise api.timeout if this lasts",
    recognised_by="no complete answer within api.timeout",
)
SERVER = ErrorRule(
    Reason.SERVER,
    RetryPolicy.RETRY_ONCE,
    "the exchange has a fault or is overloaded: nothing to do unless this lasts; see"
    " https://bybit-exchange.github.io/docs/v5/error",
    ret_codes=(10000, 10016, 429, 10429, 131001, 131003, 131200, 131201, 131230),
    recognised_by="HTTP 5xx",
)
RATE_LIMIT = ErrorRule(
    Reason.RATE_LIMIT,
    RetryPolicy.AFTER_RESET,
    "the account's request limit is used up: raise poll_interval, and look for other programs that use this account",
    ret_codes=(10006,),
)
IP_RATE_LIMIT = ErrorRule(
    Reason.IP_RATE_LIMIT,
    RetryPolicy.PAUSE_ALL,
    "this IP address sends the exchange too many requests: lower api.max_requests_per_second, and look for other"
    " programs that use the same address",
    ret_codes=(10018,),
    http_statuses=(429,),
    recognised_by='HTTP 403 "access too frequent"',
)
CLOCK = ErrorRule(
    Reason.CLOCK,
    RetryPolicy.SYNC_CLOCK,
    "this machine's clock is wrong, or requests take longer than api.recv_window to reach the exchange: synchronise"
    " the clock (chrony, systemd-timesyncd)",
    ret_codes=(10002, -1),
)
BANNED_ADVICE = "the exchange has banned the account: contact its support"
"""For a refused poll, and for a status in an answer."""

UNKNOWN_STATUS_ADVICE = "log in at Bybit and look whether the account can trade and withdraw"
"""What to do about a status that Bybit does not document."""

BANNED = ErrorRule(Reason.BANNED, RetryPolicy.NEXT_INTERVAL, BANNED_ADVICE, ret_codes=(10027,))
REQUEST = ErrorRule(
    Reason.REQUEST,
    RetryPolicy.NEXT_INTERVAL,
    "the exchange rejects a parameter: check the account's coins",
    ret_codes=(10001,),
    http_statuses=(400,),
)
MEMBER_GONE = ErrorRule(
    Reason.REQUEST,
    RetryPolicy.NEXT_INTERVAL,
    "the subaccount no longer exists: nothing to do, its series end when the list of subaccounts is read again",
    ret_codes=(131202, 131207),
)
REGION = ErrorRule(
    Reason.REGION,
    RetryPolicy.SLOW_RETRY,
    "the exchange does not serve this region: set api.base_url to the host of the account's region",
    ret_codes=(10009, 10024),
    recognised_by="HTTP 403 for any other cause",
)
WRONG_ACCOUNT_MODE = ErrorRule(
    Reason.ACCOUNT_MODE,
    RetryPolicy.SLOW_RETRY,
    "the account is not of the type that account_type says: write account_type: UNIFIED for a unified account,"
    " account_type: SPOT for a classic one, or account_type: auto; if it could be read before, check whether Bybit has"
    " banned the user",
    ret_codes=(10008, 10028, 100028),
)
"""The exchange says that the account is of the other type."""
ACCOUNT_TYPE_REJECTED = ErrorRule(
    Reason.ACCOUNT_MODE,
    RetryPolicy.SLOW_RETRY,
    "the exchange rejects the account type: check account_type (UNIFIED for a unified account, SPOT for a classic one,"
    " FUND for the funding wallet, or auto)",
    recognised_by="retCode 10001 with a message about accountType",
)
NOT_FOUND = ErrorRule(
    Reason.ACCOUNT_MODE,
    RetryPolicy.SLOW_RETRY,
    "the exchange does not offer this request to this account on this host: check account_type, api.base_url and"
    " api.environment",
    ret_codes=(10017, 10404),
    http_statuses=(404,),
)
"""The answer does not say which of the three is wrong."""
MALFORMED = ErrorRule(
    Reason.MALFORMED,
    RetryPolicy.NEXT_INTERVAL,
    "the answer is not as the exchange documents it: check api.base_url, and any proxy between this machine and the"
    " exchange",
    recognised_by="not JSON, a missing field, a wrong type, not a finite number, a coin listed twice, more than 1 MiB,"
    " a redirect",
)
API = ErrorRule(
    Reason.API,
    RetryPolicy.NEXT_INTERVAL,
    "see https://bybit-exchange.github.io/docs/v5/error for the code",
    recognised_by="any other retCode",
)
INTERNAL = ErrorRule(
    Reason.INTERNAL,
    RetryPolicy.NEXT_INTERVAL,
    "the exporter has a fault: please report it together with this log",
    recognised_by="an exception in the exporter",
)


def _auth(advice: str, *ret_codes: int, http_statuses: tuple[int, ...] = ()) -> ErrorRule:
    return ErrorRule(Reason.AUTH, RetryPolicy.SLOW_RETRY, advice, ret_codes, http_statuses)


NO_PERMISSION = _auth("the key lacks a permission: allow it to read the account's assets (read-only is enough)", 10005)

ERROR_RULES: tuple[ErrorRule, ...] = (
    NETWORK,
    TIMEOUT,
    SERVER,
    RATE_LIMIT,
    IP_RATE_LIMIT,
    CLOCK,
    _auth(
        "the exchange does not know the key: check api_key, and whether it was made in this api.environment",
        10003,
    ),
    _auth("the signature is wrong: api_secret does not belong to api_key", 10004),
    NO_PERMISSION,
    _auth(
        "the exchange does not accept the key: check that it still exists and is active",
        10007,
        http_statuses=(401,),
    ),
    _auth("this machine's address is not among the key's IP addresses: add it to them", 10010),
    _auth("the key has expired: make a new one", 33004, -2015),
    WRONG_ACCOUNT_MODE,
    ACCOUNT_TYPE_REJECTED,
    NOT_FOUND,
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
    """A failed request: the rule that applies, and what was received.

    The message (``str``) is the detail, then the beginning of `received_text`, quoted: a refusal or an error page,
    never a part of an accepted answer, which contains balances. `code` names the exchange's refusal, such as
    ``retCode 10003``; ``""`` if there was none. `rate_limits`, `reset_at_ms` (Unix time by the exchange's clock) and
    `retry_after_seconds` are as the exchange sent them.
    """

    def __init__(
        self,
        rule: ErrorRule,
        detail: str,
        *,
        received_text: str | None = None,
        code: str = "",
        reset_at_ms: int | None = None,
        retry_after_seconds: float = 0.0,
    ) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail
        self.received_text = received_text
        self.code = code
        self.rate_limits: Mapping[str, RateLimit] = {}
        self.reset_at_ms = reset_at_ms
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return self.detail if self.received_text is None else f"{self.detail}: {quote(self.received_text)}"

    def prefix_path(self, path: str) -> None:
        """Adds the path of the enclosing object to the field at the beginning of the detail."""
        self.detail = f"{path}.{self.detail}"

    def redact(self, text: str) -> None:
        """Replaces a text in the received text by ``***``."""
        if self.received_text is not None:
            self.received_text = self.received_text.replace(text, "***")

    @property
    def reason(self) -> Reason:
        return self.rule.reason

    @property
    def refuses_key(self) -> bool:
        """Whether the exchange refuses the key for every request."""
        return self.reason is Reason.AUTH and self.rule is not NO_PERMISSION

    @property
    def needs_operator(self) -> bool:
        """Whether the failure lasts until a person acts."""
        return self.rule.retry is RetryPolicy.SLOW_RETRY or self.reason in (Reason.BANNED, Reason.INTERNAL)

    def wait_seconds(self, exchange_now: float) -> float:
        """How long to wait before the next attempt; 0 means until the next interval.

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


_WRONG_MODE_ADVICE = {
    AccountType.SPOT: "this is a unified account, which has no classic spot wallet: write account_type: UNIFIED instead"
    " of account_type: SPOT; if it could be read before, check whether Bybit has banned the user",
    AccountType.UNIFIED: "this is a classic account: write account_type: SPOT instead of account_type: UNIFIED",
    AccountType.AUTO: "the exporter asks for the account's type again, since the account may have been upgraded;"
    " if this lasts, check whether Bybit has banned the user",
    AccountType.FUND: "the exchange does not offer the funding wallet to this account: check api.base_url and"
    " api.environment; if it could be read before, check whether Bybit has banned the user",
}


def advice(error: BybitError, account_type: AccountType) -> str:
    """What to tell the user about a failed poll of an account that is configured with this type."""
    if error.rule is WRONG_ACCOUNT_MODE:
        return _WRONG_MODE_ADVICE.get(account_type, error.rule.advice)
    return error.rule.advice


def resource_advice(error: BybitError) -> str:
    """What to tell the user about a failure to read anything but a wallet. It never blames account_type."""
    if error.reason is Reason.ACCOUNT_MODE:
        return (
            "the exchange does not offer this to this account on this host: check api.base_url, api.environment and any"
            " proxy between this machine and the exchange"
        )
    if error.rule is NO_PERMISSION:
        return (
            "the key lacks a permission, or is not one of a master account; for subaccounts tick Account Transfer or"
            " Subaccount Transfer (read-only is enough)"
        )
    return error.rule.advice


def rule_for_ret_code(code: int, message: str = "") -> ErrorRule:
    """The rule for a ``retCode`` other than 0 and its ``retMsg``."""
    rule = _BY_RET_CODE.get(code, API)
    return ACCOUNT_TYPE_REJECTED if rule is REQUEST and _ACCOUNT_TYPE.search(message) else rule


_ACCOUNT_TYPE = re.compile("account[ _]?type", re.IGNORECASE)


def rule_for_http_status(status: int, body: bytes) -> ErrorRule:
    """The rule for an HTTP status other than 200. A known retCode in the body counts more than the status."""
    if status == 403 and b"too frequent" in body.lower():
        return IP_RATE_LIMIT
    stated = re.search(rb'"retCode"\s*:\s*(-?[0-9]{1,9})\b', body)
    rule = rule_for_ret_code(int(stated[1]), body.decode(errors="replace")) if stated else API
    if status >= 500:  # repeated once, whatever a server with a fault says about the key or the request
        return rule if rule in (BANNED, RATE_LIMIT, IP_RATE_LIMIT, CLOCK) else SERVER
    if rule is not API:
        return rule
    if status == 403:
        return REGION
    if status >= 400:
        return _BY_HTTP_STATUS.get(status, REQUEST)
    return MALFORMED


def quote(text: str) -> str:
    """Quotes the beginning of a text from outside for a log: printable, on one line, at most 100 characters."""
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: QUOTED_CHARACTERS + 1])
    return f'"{printable}"' if len(printable) <= QUOTED_CHARACTERS else f'"{printable[: QUOTED_CHARACTERS - 1]}…"'
