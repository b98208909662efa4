"""Asks the embedded exchange without sockets, with an account's own key."""

from __future__ import annotations

import json
from typing import Any

from bybit_exporter.sandbox import Account, Request, Response
from tests.support import bybit_headers


def ask(account: Account, path: str, query: str = "", source: str = "127.0.0.1") -> Response:
    """A request that is signed as it should be, at the exchange's own time."""
    headers = bybit_headers(account.api_key, account.api_secret, query, account.exchange.now())
    lower = {name.lower(): value for name, value in headers.items()}
    return account.exchange.handle(Request("GET", path, query, lower, source=source))


def code(response: Response) -> int:
    return int(json.loads(response.body)["retCode"])


def refusal(account: Account, path: str, query: str = "", source: str = "127.0.0.1") -> int:
    """The code it is refused with, 0 if it is not."""
    return code(ask(account, path, query, source))


def result(account: Account, path: str, query: str = "") -> dict[str, Any]:
    """The result of an answer that must be a success."""
    envelope = json.loads(ask(account, path, query).body)
    assert envelope["retCode"] == 0, envelope
    found: dict[str, Any] = envelope["result"]
    return found
