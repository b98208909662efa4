"""The exchange's rules, without sockets: requests in, responses out.

Follows https://bybit-exchange.github.io/docs/v5/guide (authentication, envelope), ``/v5/error`` and
``/v5/rate-limit``. What a test may want to turn is a plain attribute of :class:`Exchange` or of an account.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

from bybit_exporter.sandbox.accounts import Account, FundingHoldings, Holdings, UnifiedHoldings
from bybit_exporter.sandbox.endpoints import ROUTES
from bybit_exporter.sandbox.endpoints.routes import Answer, PrivateRoute, PublicRoute
from bybit_exporter.sandbox.keys import random_text
from bybit_exporter.sandbox.limits import AddressGuard, Limits, Quota, RollingWindow
from bybit_exporter.sandbox.messages import (
    JSON_HEADERS,
    Fault,
    Recorded,
    Refusal,
    Request,
    Response,
    envelope,
)
from bybit_exporter.sandbox.records import Ticker
from bybit_exporter.sandbox.wallets import Table

DEFAULT_RECV_WINDOW_MS = 5000
ALLOWED_AHEAD_MS = 1000

_AUTH_HEADERS = ("api-key", "timestamp", "sign", "recv-window")
_MILLISECONDS = re.compile(r"[0-9]{1,19}")


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
        #: For every request, public ones included, or those to one path; an account's own fault goes first.
        self.fault: Fault | None = None
        self.faults: dict[str, Fault] = {}
        #: Paths that do not exist on this host, such as ``NOT_IN_REGIONS``: 10017 with HTTP 404.
        self.missing_paths: frozenset[str] = frozenset()
        self.accounts: dict[str, Account] = {}
        self.request_count = 0
        #: How often whom (an account's name, or the address without a known key) was refused, by path and code.
        self.refused: Counter[tuple[str, str, int]] = Counter()
        #: How often which account or address exceeded its limit, by path: empty if clients behaved.
        self.exceeded: Counter[tuple[str, str]] = Counter()
        self.lock = threading.RLock()
        #: The pairs of the spot market by symbol.
        self.tickers: Table[Ticker] = Table({}, self.lock, history)
        #: Called with the exchange and the time before each answer: what moves and belongs to no account.
        self.behaviour: Callable[[Exchange, float], None] | None = None
        self._clock = clock
        self._uids = count(100_000_001)
        self._withdraw_ids = count(130_000_001)
        self._requests: deque[Recorded] = deque(maxlen=history)
        self._by_key: dict[str, Account] = {}
        self._by_uid: dict[int, Account] = {}
        self._windows: dict[tuple[int, str], RollingWindow] = {}
        self._addresses = AddressGuard(self.limits)

    def add_account(
        self,
        name: str,
        holdings: Holdings | None = None,
        *,
        unified: UnifiedHoldings | None = None,
        funding: FundingHoldings | None = None,
        parent: Account | None = None,
        api_key: str | None = None,
        api_secret: str | None = None,
        uid: int | None = None,
    ) -> Account:
        """A new account: a unified one if its unified wallet is given, else a classic one.

        Key and secret are random unless given. With ``parent`` it is a subaccount, and listed as one. With the
        ``uid`` of another account it is a further key to the same wallets and limits.
        """
        with self.lock:
            if name in self.accounts or api_key in self._by_key:
                raise ValueError(f"account {name!r} or its key exists already")
            account = Account(self, name, uid or self.next_uid(), parent)
            account.key.api_key = api_key or account.api_key
            account.key.api_secret = api_secret or account.api_secret
            self._found_wallets(account)
            account.spot.update(holdings or {})
            account.funding.update(funding or {})
            if unified is not None:
                account.mode = "unified"
                account.unified.update(unified)
            self.accounts[name] = self._by_key[account.api_key] = account
            return account

    def _found_wallets(self, account: Account) -> None:
        """Those that its UID has already, if it does."""
        first = self._by_uid.setdefault(account.uid, account)
        if first is not account:
            account.share(first)
        elif account.parent:
            member = account.parent.members.get(account.uid)
            member = member or account.parent.add_member(account.name, uid=account.uid)
            account.unified, account.funding = member.unified, member.funding
            account.products = member.products

    def rotate_key(self, account: Account, api_key: str | None = None, api_secret: str | None = None) -> None:
        """Give an account another key; the old one is unknown from now on."""
        with self.lock:
            del self._by_key[account.api_key]
            new_key, new_secret = api_key or random_text(18), api_secret or random_text(36)
            account.key = replace(account.key, api_key=new_key, api_secret=new_secret, created_at=self.now())
            self._by_key[account.api_key] = account

    @property
    def requests(self) -> list[Recorded]:
        """The latest requests, oldest first; ``request_count`` counts them all."""
        with self.lock:
            return list(self._requests)

    def now(self) -> float:
        """The exchange's own clock in Unix seconds."""
        return self._clock() + self.clock_skew

    def now_ms(self) -> int:
        """The exchange's own clock in Unix milliseconds."""
        return _milliseconds(self.now())

    def next_uid(self) -> int:
        """A UID that nobody has been given."""
        return next(uid for uid in self._uids if uid not in self._by_uid)

    def next_withdraw_id(self) -> str:
        """The id of one more withdrawal, greater than all before."""
        return str(next(self._withdraw_ids))

    def advance(self) -> None:
        """Run every behaviour, so that all figures are those of now."""
        with self.lock:
            now = self._clock()
            if self.behaviour:
                self.behaviour(self, now)
            for account in self.accounts.values():
                if account.behaviour:
                    account.behaviour(account, now)

    def handle(self, request: Request) -> Response:
        """Record one request and answer it by the rules, faults aside."""
        with self.lock:
            self._record(request)
            if not self._addresses.admits(request.source, self._clock()):
                self.exceeded[request.source, request.path] += 1
                return self._forbidden(b"access too frequent")
            if request.method == "GET" and request.body:
                return self._forbidden(b"request forbidden")
            headers = dict(JSON_HEADERS)
            try:
                message, result = self._answer(request, headers)
            except Refusal as refusal:
                self.refused[self._name(request), request.path, refusal.code] += 1
                return self._envelope(refusal.status, refusal.code, refusal.message, {}, headers)
            return self._envelope(200, 0, message, result, headers)

    def fault_for(self, request: Request) -> Fault | None:
        """What is to go wrong with the answer to this request."""
        account, path = self._owner(request), request.path
        own = account and (account.faults.get(path) or account.fault)
        return own or self.faults.get(path) or self.fault

    def _owner(self, request: Request) -> Account | None:
        """Whose key the request carries, properly signed or not."""
        return self._by_key.get(request.headers.get("x-bapi-api-key", ""))

    def _name(self, request: Request) -> str:
        account = self._owner(request)
        return account.name if account else request.source

    def _record(self, request: Request) -> None:
        account = self._owner(request)
        self._requests.append(Recorded(self._clock(), request, account.name if account else None))
        self.request_count += 1
        if account:
            account.request_count += 1

    def _answer(self, request: Request, headers: dict[str, str]) -> Answer:
        exists = request.method == "GET" and request.path not in self.missing_paths
        route = ROUTES.get(request.path) if exists else None
        if route is None:
            raise Refusal(10017, status=404)
        if self.behaviour:
            self.behaviour(self, self._clock())
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        if isinstance(route, PublicRoute):
            return route.handler(self, query)
        account = self._admit(request, route, headers)
        if request.path in account.missing_paths:
            raise Refusal(10017, status=404)
        if account.behaviour:
            account.behaviour(account, self._clock())
        refusal = account.refusals.get(request.path) or account.refusal
        if refusal:
            raise refusal
        if not route.admits(account):
            raise Refusal(10005)
        return route.handler(account, query)

    def _admit(self, request: Request, route: PrivateRoute, headers: dict[str, str]) -> Account:
        """Who asks: complete credentials, known key, right signature, time in its window, key valid, quota left."""
        account, stamp, text, sign, recv_window = self._credentials(request)
        limit = account.limit or self.limits.uid or route.limit
        window = self._windows.setdefault((account.uid, request.path), RollingWindow())
        headers.update(self._quota_headers(window.look(limit, self._clock())))
        if not account.verify(text, sign):
            raise Refusal(10004, f"error sign! origin_string[{text}]")
        self._check_window(stamp, recv_window)
        self._check_key(account, request.source)
        quota = window.take(limit, self._clock())
        headers.update(self._quota_headers(quota))
        if quota.exceeded:
            self.exceeded[account.name, request.path] += 1
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

    def _check_key(self, account: Account, source: str) -> None:
        expires_at = account.key.expires_at
        if expires_at is not None and expires_at <= self.now():
            raise Refusal(33004)
        if not account.key.admits(source):
            raise Refusal(10010)

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
