"""Faults: what can go wrong with an answer.

Assign one to ``account.fault`` or ``exchange.fault``; None ends it.

    account.fault = faults.Hang()
    account.fault = faults.Times(2, faults.Reset())
    account.faults[WITHDRAWALS] = faults.RetCode(10016)
    exchange.fault = faults.access_too_frequent()
    exchange.faults[TICKERS] = faults.Cut()

``faults`` holds faults for single paths. It has priority over ``fault``.

Any object with the method of :class:`Fault` is a fault. A wrong clock is an attribute: ``exchange.clock_skew``.
"""

from __future__ import annotations

import functools
import json
import struct
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bybit_exporter.sandbox.http1 import render, render_head
from bybit_exporter.sandbox.messages import JSON_HEADERS, MESSAGES, Fault, Response, Wire, envelope

MEGABYTE = 1024 * 1024
ENDLESS = 1 << 40


@dataclass(frozen=True)
class RetCode:
    """The exchange refuses with an error code; the message is the code's usual one unless given."""

    code: int
    message: str | None = None

    def play(self, wire: Wire, response: Response) -> None:
        """See :class:`Fault`."""
        message = MESSAGES.get(self.code, "") if self.message is None else self.message
        wire.respond(replace(response, status=200, body=envelope(self.code, message, {}, response.time_ms)))


@dataclass(frozen=True)
class TooManyVisits:
    """10006 with any text as reset timestamp, or None for no such header."""

    reset_timestamp: str | None

    def play(self, wire: Wire, response: Response) -> None:
        """See :class:`Fault`."""
        headers = {**response.headers, "X-Bapi-Limit-Status": "0"}
        headers.pop("X-Bapi-Limit-Reset-Timestamp", None)
        if self.reset_timestamp is not None:
            headers["X-Bapi-Limit-Reset-Timestamp"] = self.reset_timestamp
        RetCode(10006).play(wire, replace(response, headers=headers))


@dataclass(frozen=True)
class Status:
    """An HTTP status with any body and headers."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/html"})

    def play(self, wire: Wire, response: Response) -> None:
        """See :class:`Fault`."""
        wire.respond(Response(self.status, self.body, self.headers, response.time_ms))


def access_too_frequent() -> Status:
    """403, as if other programs at this address had exceeded the limit per address."""
    return Status(403, b"access too frequent", {"Content-Type": "text/plain"})


def too_many_requests(retry_after: str | None = None) -> Status:
    """429, the system-level frequency protection."""
    return Status(429, b"", {} if retry_after is None else {"Retry-After": retry_after})


def redirect(url: str) -> Status:
    """302 to another URL. A client that follows it sends its key there."""
    return Status(302, b"", {"Location": url})


@dataclass(frozen=True)
class Body:
    """An answer with HTTP 200 and any body."""

    body: bytes

    def play(self, wire: Wire, response: Response) -> None:
        """See :class:`Fault`."""
        wire.respond(Response(200, self.body, JSON_HEADERS, response.time_ms))


def nested(depth: int = 200_000) -> Body:
    """Deeply nested JSON, well-formed. It exhausts the stack of a recursive parser."""
    return Body(b"[" * depth + b"]" * depth)


@dataclass(frozen=True)
class Mutate:
    """The correct envelope, changed in place by ``change``: ``Mutate(lambda e: e["result"].pop("spot"))``."""

    change: Callable[[dict[str, Any]], object]

    def play(self, wire: Wire, response: Response) -> None:
        """See :class:`Fault`."""
        parts = json.loads(response.body)
        self.change(parts)
        wire.respond(replace(response, body=json.dumps(parts).encode()))


@dataclass(frozen=True)
class Delay:
    """The correct answer after a delay."""

    seconds: float

    def play(self, wire: Wire, response: Response) -> None:
        """See :class:`Fault`."""
        if wire.pause(self.seconds):
            wire.respond(response)


@dataclass(frozen=True)
class Hang:
    """No answer until released, then the correct one."""

    released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Answer every request that hangs, and every later one."""
        self.released.set()

    def play(self, wire: Wire, response: Response) -> None:
        """See :class:`Fault`."""
        while not self.released.is_set():
            if not wire.pause(0.02):
                return
        wire.respond(response)


@dataclass(frozen=True)
class Drip:
    """One byte every ``interval`` seconds, without end: in the body, or in the head."""

    interval: float = 0.1
    head: bool = False

    def play(self, wire: Wire, response: Response) -> None:
        """See :class:`Fault`."""
        if self.head:
            wire.send(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        else:
            wire.send(_head_for(response, ENDLESS) + response.body)
        while wire.pause(self.interval):
            wire.send(b"-" if self.head else b" ")


@dataclass(frozen=True)
class Reset:
    """No answer: the connection is reset (RST)."""

    def play(self, wire: Wire, _: Response) -> None:
        """See :class:`Fault`."""
        wire.reset()


@dataclass(frozen=True)
class Cut:
    """The connection is closed in the middle of the body."""

    def play(self, wire: Wire, response: Response) -> None:
        """See :class:`Fault`."""
        whole = render(response)
        wire.send(whole[: len(whole) - max(1, len(response.body) // 2)])


@dataclass(frozen=True)
class Bomb:
    """A small gzip body that expands to many megabytes."""

    megabytes: int = 512

    def play(self, wire: Wire, response: Response) -> None:
        """See :class:`Fault`."""
        headers = {**JSON_HEADERS, "Content-Encoding": "gzip"}
        wire.respond(replace(response, body=_gzipped_blanks(self.megabytes), headers=headers))


@dataclass(frozen=True)
class Flood:
    """The correct answer followed by megabytes of blanks, valid JSON; with or without Content-Length."""

    megabytes: int = 400
    content_length: bool = True

    def play(self, wire: Wire, response: Response) -> None:
        """See :class:`Fault`."""
        length = len(response.body) + self.megabytes * MEGABYTE
        wire.send(_head_for(response, length if self.content_length else None) + response.body)
        for _ in range(self.megabytes):
            wire.send(b" " * MEGABYTE)


class Times:
    """A fault for the next ``count`` requests only. Later ones are answered correctly."""

    def __init__(self, count: int, fault: Fault) -> None:
        self.remaining = count
        self._fault = fault
        self._lock = threading.Lock()

    def play(self, wire: Wire, response: Response) -> None:
        """See :class:`Fault`."""
        if self._claim():
            self._fault.play(wire, response)
        else:
            wire.respond(response)

    def _claim(self) -> bool:
        with self._lock:
            self.remaining -= 1
            return self.remaining >= 0


def _head_for(response: Response, length: int | None) -> bytes:
    """The head of a response with another Content-Length, or with none."""
    if length is not None:
        headers = {**response.headers, "Content-Length": str(length)}
        return render_head(replace(response, headers=headers), keep_alive=False)
    head = render_head(replace(response, body=b""), keep_alive=False)
    return head.replace(b"Content-Length: 0\r\n", b"")


@functools.lru_cache(maxsize=2)
def _gzipped_blanks(megabytes: int) -> bytes:
    """Gzip (RFC 1952) of one compressed megabyte, repeated: faster than compressing all of them."""
    blanks = b" " * MEGABYTE
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = squeeze.compress(blanks) + squeeze.flush(zlib.Z_FULL_FLUSH)
    checksum = functools.reduce(lambda crc, _: zlib.crc32(blanks, crc), range(megabytes), 0)
    trailer = struct.pack("<II", checksum, megabytes * MEGABYTE % (1 << 32))
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + block * megabytes + squeeze.flush() + trailer
