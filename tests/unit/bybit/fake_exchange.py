"""A fake exchange for the tests of the readers: answers in, plain data out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest

from bybit_exporter.bybit.client import Client
from bybit_exporter.bybit.errors import BybitError
from bybit_exporter.bybit.rate_limiter import RateLimiter
from bybit_exporter.bybit.server_clock import ServerClock
from bybit_exporter.bybit.transport import Response, Transport
from bybit_exporter.model import AccountType
from tests.builders import make_account
from tests.support import FakeClock

MAIN = make_account(account_type=AccountType.FUND)


class Exchange(Transport):
    """Answers with these results, one after the other, and records the requests.

    A result given as bytes is the whole body of an answer.
    """

    def __init__(self, *results: Any) -> None:
        self.clock = FakeClock(0.0)
        self.results = list(results)
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.pauses: list[float] = []
        rate_limiter = RateLimiter(1e9, now=self.clock, sleep=self.pauses.append)
        self.client = Client(self, ServerClock(5.0), rate_limiter, recv_window_seconds=5.0)

    def get(self, path: str, query: str, headers: Mapping[str, str]) -> Response:
        self.asked.append((path, parse_qs(query)))
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        body = result if isinstance(result, bytes) else json.dumps({"retCode": 0, "result": result}).encode()
        return Response(200, {"X-Bapi-Limit": "5", "X-Bapi-Limit-Status": str(len(self.results))}, body, 0.0)


def refusal(read: Any, exchange: Exchange, *more: Any) -> BybitError:
    with pytest.raises(BybitError) as caught:
        read(exchange.client, MAIN, *more)
    return caught.value
