"""The exchange's rules, without sockets: requests in, responses out.

Follows https://bybit-exchange.github.io/docs/v5/guide (authentication, envelope), ``/v5/error`` and
``/v5/rate-limit``. What a test may want to turn is a plain attribute of :class:`Exchange` or of an account.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from bybit_exporter.sandbox.accounts import Account, Holdings, random_text
from bybit_exporter.sandbox.limits import AddressGuard, Limits, Quota, RateLimit, RollingWindow
from bybit_exporter.sandbox.messages import (
    JSON_HEADERS,
    Fault,
    Recorded,
    Refusal,
    Request,
    Response,
    envelope,
)

ASSET_INFO = "/v5/asset/transfer/query-asset-info"
SERVER_TIME = "/v5/market/time"

DEFAULT_RECV_WINDOW_MS = 5000
ALLOWED_AHEAD_MS = 1000

_AUTH_HEADERS = ("api-key", "timestamp", "sign", "recv-window")
_COIN = re.compile(r"[A-Z0-9]{1,20}")
_MILLISECONDS = re.compile(r"[0-9]{1,19}")

Answer = tuple[str, dict[str, Any]]
"""What an endpoint says: ``retMsg`` and ``result``."""


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """An endpoint for everybody."""

    handler: Callable[[Exchange, Mapping[str, str]], Answer]


@dataclass(frozen=True, slots=True)
class PrivateRoute:
    """An endpoint that needs a key, and how often one UID may ask it."""

    handler: Callable[[Account, Mapping[str, str]], Answer]
    limit: RateLimit


class Exchange:
    """Accounts, the rules of the API, and a record of what was asked.

    ``clock`` gives Unix seconds. ``history`` bounds the recorded requests and each account's served states.
    """

    def __init__(
        self, clock: Callable[[], float] = time.time, limits: Limits | None = None, history: int = 10_000
    ) -> None:
        self.limits = limits or Limits()
        self.history = history
        #: Seconds by which the exchange's clock is ahead of ``clock``.
        self.clock_skew = 0.0
        #: For every request, public ones included; an account's own fault goes first.
        self.fault: Fault | None = None
        self.accounts: dict[str, Account] = {}
        self.request_count = 0
        self.lock = threading.RLock()
        self._clock = clock
        self._requests: deque[Recorded] = deque(maxlen=history)
        self._by_key: dict[str, Account] = {}
        self._windows: dict[tuple[int, str], RollingWindow] = {}
        self._addresses = AddressGuard(self.limits)

    def add_account(
        self,
        name: str,
        holdings: Holdings | None = None,
        *,
        api_key: str | None = None,
        api_secret: str | None = None,
        uid: int | None = None,
    ) -> Account:
        """A new account. Key and secret are random unless given; accounts with one uid share its limits."""
        with self.lock:
            if name in self.accounts or api_key in self._by_key:
                raise ValueError(f"account {name!r} or its key exists already")
            next_uid = 100_000_001 + len(self.accounts)
            account = Account(self, name, holdings or {}, uid=uid or next_uid)
            account.api_key = api_key or account.api_key
            account.api_secret = api_secret or account.api_secret
            self.accounts[name] = self._by_key[account.api_key] = account
            return account

    def rotate_key(self, account: Account, api_key: str | None = None, api_secret: str | None = None) -> None:
        """Give an account another key; the old one is unknown from now on."""
        with self.lock:
            del self._by_key[account.api_key]
            account.api_key, account.api_secret = api_key or random_text(18), api_secret or random_text(36)
            self._by_key[account.api_key] = account

    @property
    def requests(self) -> list[Recorded]:
        """The latest requests, oldest first; ``request_count`` counts them all."""
        with self.lock:
            return list(self._requests)

    def now_ms(self) -> int:
        """The exchange's own clock in Unix milliseconds."""
        return _milliseconds(self._clock() + self.clock_skew)

    def handle(self, request: Request) -> Response:
        """Record one request and answer it by the rules, faults aside."""
        with self.lock:
            self._record(request)
            if not self._addresses.admits(request.source, self._clock()):
                return self._forbidden(b"access too frequent")
            if request.method == "GET" and request.body:
                return self._forbidden(b"request forbidden")
            headers = dict(JSON_HEADERS)
            try:
                message, result = self._answer(request, headers)
            except Refusal as refusal:
                return self._envelope(refusal.status, refusal.code, refusal.message, {}, headers)
            return self._envelope(200, 0, message, result, headers)

    def fault_for(self, request: Request) -> Fault | None:
        """What is to go wrong with the answer to this request."""
        account = self._owner(request)
        return account.fault if account and account.fault else self.fault

    def _owner(self, request: Request) -> Account | None:
        """Whose key the request carries, properly signed or not."""
        return self._by_key.get(request.headers.get("x-bapi-api-key", ""))

    def _record(self, request: Request) -> None:
        account = self._owner(request)
        self._requests.append(Recorded(self._clock(), request, account.name if account else None))
        self.request_count += 1
        if account:
            account.request_count += 1

    def _answer(self, request: Request, headers: dict[str, str]) -> Answer:
        route = ROUTES.get(request.path) if request.method == "GET" else None
        if route is None:
            raise Refusal(10017, status=404)
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        if isinstance(route, PublicRoute):
            return route.handler(self, query)
        account = self._admit(request, route, headers)
        if account.behaviour:
            account.behaviour(account, self._clock())
        if account.refusal:
            raise account.refusal
        return route.handler(account, query)

    def _admit(self, request: Request, route: PrivateRoute, headers: dict[str, str]) -> Account:
        """Who asks: complete credentials, known key, right signature, timestamp in its window, quota left."""
        account, stamp, text, sign, recv_window = self._credentials(request)
        limit = account.limit or self.limits.uid or route.limit
        window = self._windows.setdefault((account.uid, request.path), RollingWindow())
        headers.update(self._quota_headers(window.look(limit, self._clock())))
        if not account.verify(text, sign):
            raise Refusal(10004, f"error sign! origin_string[{text}]")
        self._check_window(stamp, recv_window)
        quota = window.take(limit, self._clock())
        headers.update(self._quota_headers(quota))
        if quota.exceeded:
            raise Refusal(10006)
        return account

    def _credentials(self, request: Request) -> tuple[Account, int, str, str, int]:
        """Owner, timestamp, the text that was signed, its signature, receive window."""
        key, stamp, sign, window = (request.headers.get(f"x-bapi-{name}", "") for name in _AUTH_HEADERS)
        if not (key and stamp and sign):
            found = f"apiTimestamp[{stamp}] apiKey[{key}] apiSignature[{sign}]"
            raise Refusal(10001, f"empty value: {found}", status=401)
        if not _MILLISECONDS.fullmatch(stamp) or not _MILLISECONDS.fullmatch(window or "0"):
            raise Refusal(10001, f"not in milliseconds: timestamp[{stamp}] recv_window[{window}]")
        account = self._owner(request)
        if account is None:
            raise Refusal(10003)
        text = f"{stamp}{key}{window}{request.query}"
        return account, int(stamp), text, sign, int(window or DEFAULT_RECV_WINDOW_MS)

    def _check_window(self, stamp: int, recv_window: int) -> None:
        now = self.now_ms()
        if not now - recv_window <= stamp < now + ALLOWED_AHEAD_MS:
            complaint = "invalid request, please check your server timestamp or recv_window param. "
            facts = f"req_timestamp[{stamp}],server_timestamp[{now}],recv_window[{recv_window}]"
            raise Refusal(10002, complaint + facts)

    def _quota_headers(self, quota: Quota) -> dict[str, str]:
        resets = math.ceil(round((quota.resets_at + self.clock_skew) * 1000, 3))
        return {
            "X-Bapi-Limit": str(quota.limit),
            "X-Bapi-Limit-Status": str(quota.remaining),
            "X-Bapi-Limit-Reset-Timestamp": str(resets if quota.exceeded else self.now_ms()),
        }

    def _envelope(
        self, status: int, code: int, message: str, result: dict[str, Any], headers: Mapping[str, str]
    ) -> Response:
        now = self.now_ms()
        return Response(status, envelope(code, message, result, now), headers, now)

    def _forbidden(self, body: bytes) -> Response:
        """What stands in front of the API speaks no JSON."""
        return Response(403, body, {"Content-Type": "text/plain; charset=utf-8"}, self.now_ms())


def _milliseconds(seconds: float) -> int:
    """Whole milliseconds, undisturbed by what binary fractions make of 0.001."""
    return math.floor(round(seconds * 1000, 3))


def _asset_info(account: Account, query: Mapping[str, str]) -> Answer:
    """https://bybit-exchange.github.io/docs/v5/asset/balance/asset-info: a coin not held is not listed."""
    if account.mode == "unified":
        raise Refusal(account.mode_code)
    account_type, coin = query.get("accountType", ""), query.get("coin", "")
    if account_type != "SPOT":
        raise Refusal(10001, f"accountType error: [{account_type}] is not SPOT")
    if coin and not _COIN.fullmatch(coin):
        raise Refusal(10001, f"coin error: [{coin}] is not one upper-case coin")
    assets = [
        {"coin": name, "frozen": holding.frozen, "free": holding.free, "withdraw": holding.withdraw}
        for name, holding in account.serve().items()
        if coin in ("", name)
    ]
    return "success", {"spot": {"status": account.status, "assets": assets}}


def _server_time(exchange: Exchange, _: Mapping[str, str]) -> Answer:
    """https://bybit-exchange.github.io/docs/v5/market/time"""
    now = exchange.now_ms()
    return "OK", {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}


#: Every endpoint there is.
ROUTES: Mapping[str, PublicRoute | PrivateRoute] = {
    ASSET_INFO: PrivateRoute(_asset_info, RateLimit(60, 60.0)),
    SERVER_TIME: PublicRoute(_server_time),
}
