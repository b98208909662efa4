"""Requests, responses and refusals, and the interfaces of faults and connections. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

#: The messages of the exchange's error codes: https://bybit-exchange.github.io/docs/v5/error
MESSAGES: Mapping[int, str] = {
    429: "The system level frequency protection.",
    10000: "Server Timeout",
    10001: "Request parameter error.",
    10003: "API key is invalid.",
    10005: "Permission denied, please check your API key permissions.",
    10006: "Too many visits!",
    10007: "User authentication failed.",
    10008: "Common banned. Please check your account mode.",
    10009: "IP has been banned.",
    10010: "Unmatched IP, please check your API key's bound IP addresses.",
    10016: "Internal server error.",
    10017: "Route not found.",
    10018: "Exceeded the IP Rate Limit.",
    10024: "Compliance rules triggered.",
    10027: "Transactions are banned.",
    10028: "The API can only be accessed by unified account users.",
    10404: "Route not found.",
    10429: "System level frequency protection.",
    33004: "Your api key has expired.",
    100028: "The API cannot be accessed by unified account users.",
    131202: "Invalid memberId",
    131207: "The member does not exist.",
}

JSON_HEADERS: Mapping[str, str] = {"Content-Type": "application/json; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. ``query`` is raw, without the ``?``; header names are lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    source: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request that the exchange received. ``account`` is the name of the key's account; None: unknown key."""

    at: float
    request: Request
    account: str | None


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response. ``time_ms`` is the exchange's time at which it was made."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    time_ms: int = 0


class Refusal(Exception):
    """The exchange refuses a request: an error code in the envelope, rarely with an HTTP status other than 200."""

    def __init__(self, code: int, message: str | None = None, status: int = 200) -> None:
        self.code = code
        self.message = MESSAGES.get(code, "") if message is None else message
        self.status = status
        super().__init__(f"{self.code} {self.message}")


def envelope(code: int, message: str, result: Any, time_ms: int) -> bytes:
    """The JSON of every answer of the API: https://bybit-exchange.github.io/docs/v5/guide"""
    parts = {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": time_ms}
    return json.dumps(parts, separators=(",", ":")).encode()


class Wire(Protocol):
    """The server's side of a connection, for faults."""

    def respond(self, response: Response) -> None:
        """Send a response. The connection is kept alive."""

    def send(self, data: bytes) -> None:
        """Send raw bytes. The connection is closed once the fault returns."""

    def reset(self) -> None:
        """Close the connection with RST, which discards data that was not delivered yet."""

    def pause(self, seconds: float) -> bool:
        """Wait for this long. False: the server stops (returns at once), or the client has disconnected."""


class Fault(Protocol):
    """Something that goes wrong with a response."""

    def play(self, wire: Wire, response: Response) -> None:
        """Answer in place of the server. ``response`` is the response without the fault."""
