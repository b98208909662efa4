"""The rules of the API, without sockets: a request and the exchange's state in, a response out.

Follows https://bybit-exchange.github.io/docs/v5/guide (authentication, envelope), ``/v5/error`` and ``/v5/rate-limit``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from bybit_exporter.sandbox.endpoints import ROUTES
from bybit_exporter.sandbox.endpoints.routes import Answer, PrivateRoute, PublicRoute
from bybit_exporter.sandbox.exchange import Account, Exchange
from bybit_exporter.sandbox.limits import Quota, RollingWindow
from bybit_exporter.sandbox.messages import JSON_HEADERS, Fault, Refusal, Request, Response, envelope

DEFAULT_RECV_WINDOW_MS = 5000
ALLOWED_AHEAD_MS = 1000

_AUTH_HEADERS = ("api-key", "timestamp", "sign", "recv-window")
_MILLISECONDS = re.compile(r"[0-9]{1,19}")


def handle(exchange: Exchange, request: Request) -> Response:
    """Record a request and answer it by the rules. Faults are not applied."""
    with exchange.lock:
        exchange.record(request)
        response = _respond(exchange, request)
        if exchange.observer:
            exchange.observer(request, response)
        return response


def fault_for(exchange: Exchange, request: Request) -> Fault | None:
    """The fault to apply to the response to this request, if any."""
    account, path = exchange.owner(request), request.path
    own = account and (account.faults.get(path) or account.fault)
    return own or exchange.faults.get(path) or exchange.fault


def _respond(exchange: Exchange, request: Request) -> Response:
    if not exchange.addresses.acquire(request.source, exchange.clock()):
        exchange.exceeded[request.source, request.path] += 1
        return _forbidden(exchange, b"access too frequent")
    if request.method == "GET" and request.body:
        return _forbidden(exchange, b"request forbidden")
    headers = dict(JSON_HEADERS)
    try:
        message, result = _answer(exchange, request, headers)
    except Refusal as refusal:
        account = exchange.owner(request)
        exchange.refused[account.name if account else request.source, request.path, refusal.code] += 1
        return _envelope(exchange, refusal.status, refusal.code, refusal.message, {}, headers)
    return _envelope(exchange, 200, 0, message, result, headers)


def _answer(exchange: Exchange, request: Request, headers: dict[str, str]) -> Answer:
    """The answer of the endpoint. Adds the headers about the limit.

    Raises:
        Refusal: the exchange refuses the request.
    """
    exists = request.method == "GET" and request.path not in exchange.missing_paths
    route = ROUTES.get(request.path) if exists else None
    if route is None:
        raise Refusal(10017, status=404)
    if exchange.behaviour:
        exchange.behaviour(exchange, exchange.clock())
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    if isinstance(route, PublicRoute):
        return route.handler(exchange, query)
    account = _authenticate(exchange, request, route, headers)
    if account.behaviour:
        account.behaviour(account, exchange.clock())
    refusal = account.refusals.get(request.path) or account.refusal
    if refusal:
        raise refusal
    if request.path in account.missing_paths:
        raise Refusal(10017, status=404)
    if not route.allows(account):
        raise Refusal(10005)
    return route.handler(account, query)


def _authenticate(exchange: Exchange, request: Request, route: PrivateRoute, headers: dict[str, str]) -> Account:
    """Check, in this order: credentials, key, signature, timestamp, expiry and address of the key, limit."""
    account, stamp, text, sign, recv_window = _credentials(exchange, request)
    limit = account.limit or exchange.limits.uid or route.limit
    window = exchange.windows.setdefault((account.uid, request.path), RollingWindow())
    headers.update(_quota_headers(exchange, window.peek(limit, exchange.clock())))
    if not account.verify(text, sign):
        raise Refusal(10004, f"error sign! origin_string[{text}]")
    _check_timestamp(exchange, stamp, recv_window)
    _check_key(exchange, account, request.source)
    quota = window.acquire(limit, exchange.clock())
    headers.update(_quota_headers(exchange, quota))
    if quota.exceeded:
        exchange.exceeded[account.name, request.path] += 1
        raise Refusal(10006)
    return account


def _credentials(exchange: Exchange, request: Request) -> tuple[Account, int, str, str, int]:
    """Account, timestamp, the text that was signed, its signature, receive window."""
    key, stamp, sign, window = (request.headers.get(f"x-bapi-{name}", "") for name in _AUTH_HEADERS)
    if not (key and stamp and sign):
        found = f"apiTimestamp[{stamp}] apiKey[{key}] apiSignature[{sign}]"
        raise Refusal(10001, f"empty value: {found}", status=401)
    if not _MILLISECONDS.fullmatch(stamp) or not _MILLISECONDS.fullmatch(window or "0"):
        raise Refusal(10001, f"not in milliseconds: timestamp[{stamp}] recv_window[{window}]")
    account = exchange.owner(request)
    if account is None:
        raise Refusal(10003)
    text = f"{stamp}{key}{window}{request.query}"
    return account, int(stamp), text, sign, int(window or DEFAULT_RECV_WINDOW_MS)


def _check_timestamp(exchange: Exchange, stamp: int, recv_window: int) -> None:
    now = exchange.now_ms()
    if not now - recv_window <= stamp < now + ALLOWED_AHEAD_MS:
        complaint = "invalid request, please check your server timestamp or recv_window param. "
        facts = f"req_timestamp[{stamp}],server_timestamp[{now}],recv_window[{recv_window}]"
        raise Refusal(10002, complaint + facts)


def _check_key(exchange: Exchange, account: Account, source: str) -> None:
    expires_at = account.key.expires_at
    if expires_at is not None and expires_at <= exchange.now():
        raise Refusal(33004)
    if not account.key.allows_address(source):
        raise Refusal(10010)


def _quota_headers(exchange: Exchange, quota: Quota) -> dict[str, str]:
    resets = math.ceil(round((quota.resets_at + exchange.clock_skew) * 1000, 3))
    return {
        "X-Bapi-Limit": str(quota.limit),
        "X-Bapi-Limit-Status": str(quota.remaining),
        "X-Bapi-Limit-Reset-Timestamp": str(resets if quota.exceeded else exchange.now_ms()),
    }


def _envelope(
    exchange: Exchange, status: int, code: int, message: str, result: dict[str, Any], headers: Mapping[str, str]
) -> Response:
    now = exchange.now_ms()
    return Response(status, envelope(code, message, result, now), headers, now)


def _forbidden(exchange: Exchange, body: bytes) -> Response:
    """The answer of the gateway in front of the API: plain text, no JSON."""
    return Response(403, body, {"Content-Type": "text/plain; charset=utf-8"}, exchange.now_ms())
