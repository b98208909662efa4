"""Helpers for tests of every kind."""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from bybit_exporter.sandbox import ASSET_INFO, Account
from bybit_exporter.sandbox.messages import Recorded

Told = Callable[[], list[dict[str, Any]]]
"""The fixture ``told``: a function that returns what has been logged."""


def require_real(present: bool, install: str) -> None:
    """Skip unless the real thing is installed; with REQUIRE_REAL=1 its absence is a failure."""
    if present:
        return
    if os.environ.get("REQUIRE_REAL") == "1":
        pytest.fail(f"REQUIRE_REAL=1, but this is not installed: {install}")
    pytest.skip(f"needs {install}")


def seconds_to_end() -> float:
    """How long the exporter may take to end: two seconds, as promised. A machine with too much to do is given more."""
    return 8.0 if os.getloadavg()[0] > 2 * (os.cpu_count() or 1) else 2.0


def eventually(condition: Callable[[], object], within: float = 5.0) -> None:
    """Return as soon as the condition holds; fail if it does not in time."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:g} s"
        time.sleep(0.005)


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def polls_of(account: Account) -> list[Recorded]:
    """The requests for the account's spot wallet: one a poll, and one more where it is tried again."""
    return [recorded for recorded in account.requests if recorded.request.path == ASSET_INFO]


class FakeClock:
    """A clock that only the test changes."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def bybit_headers(key: str, secret: str, query: str, now: float, recv_window: str = "5000") -> dict[str, str]:
    """The headers of a signed GET, written down independently of the code under test."""
    stamp = str(round(now * 1000))
    text = stamp + key + recv_window + query
    return {
        "X-BAPI-API-KEY": key,
        "X-BAPI-TIMESTAMP": stamp,
        "X-BAPI-RECV-WINDOW": recv_window,
        "X-BAPI-SIGN": hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest(),
    }
