"""Sends requests to the embedded exchange without sockets, signed with an account's key."""

from __future__ import annotations

import json
from typing import Any

from bybit_exporter.sandbox import Account, Request, Response, handle
from tests.support import bybit_headers


def ask(account: Account, path: str, query: str = "", source: str = "127.0.0.1") -> Response:
    """The response to a correctly signed request at the exchange's own time."""
    headers = bybit_headers(account.api_key, account.api_secret, query, account.exchange.now())
    lower = {name.lower(): value for name, value in headers.items()}
    return handle(account.exchange, Request("GET", path, query, lower, source=source))


def code(response: Response) -> int:
    return int(json.loads(response.body)["retCode"])


def refusal(account: Account, path: str, query: str = "", source: str = "127.0.0.1") -> int:
    """The retCode of the answer; 0: not refused."""
    return code(ask(account, path, query, source))


def result(account: Account, path: str, query: str = "") -> dict[str, Any]:
    """The result of a successful answer."""
    envelope = json.loads(ask(account, path, query).body)
    assert envelope["retCode"] == 0, envelope
    found: dict[str, Any] = envelope["result"]
    return found
