"""TLS over a transport: a client of Python's `ssl` on the other side, and no socket between them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

import pytest

from bybit_exporter.web.server import web_config
from bybit_exporter.web.server.tls_transport import TlsTransport
from tests.certificates import FIXTURES, client_context


class Below(asyncio.Transport):
    """The transport below; what is written reaches the client."""

    def __init__(self, client: ssl.MemoryBIO) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.client = client
        self.state = "open"

    def write(self, data: Any) -> None:
        self.client.write(data)

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"

    def is_closing(self) -> bool:
        return self.state != "open"


class Pair:
    """A client and a server that have not begun their handshake."""

    def __init__(self) -> None:
        context = web_config.load(FIXTURES / "tls.good.yml").context
        assert context
        self.to_client, self.to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.below = Below(self.to_client)
        self.server = TlsTransport(self.below, context)
        self.client = client_context().wrap_bio(self.to_client, self.to_server, server_hostname="localhost")

    def shake_hands(self) -> None:
        done = False
        while not done:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.client.do_handshake()
            self.server.receive(self.to_server.read())
            done = self.server.do_handshake()


def test_data_passes_both_ways() -> None:
    pair = Pair()
    pair.shake_hands()
    pair.client.write(b"x" * 100_000)
    pair.server.receive(pair.to_server.read())
    assert b"".join(pair.server.read()) == b"x" * 100_000
    pair.server.write(b"hello")
    assert pair.client.read(100) == b"hello"
    assert pair.server.get_extra_info("peername") == ("127.0.0.1", 1)
    assert pair.server.get_extra_info("sslcontext")


def test_failed_handshake_sends_an_alert() -> None:
    pair = Pair()
    pair.server.receive(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
    with pytest.raises(ssl.SSLError):
        pair.server.do_handshake()
    assert pair.to_client.read()[:1] == b"\x15", "an alert"


def test_close_notify_of_the_client_closes_the_connection() -> None:
    pair = Pair()
    pair.shake_hands()
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    pair.server.receive(pair.to_server.read())
    assert list(pair.server.read()) == []
    assert pair.below.state == "closed"
    pair.client.unwrap()


def test_close_sends_one_close_notify_and_nothing_more() -> None:
    pair = Pair()
    pair.shake_hands()
    pair.server.write(b"last")
    pair.server.close()
    pair.server.close()
    pair.server.write(b"more")
    assert pair.client.read(100) == b"last"
    assert pair.client.read(100) == b""
    assert pair.below.state == "closed"


def test_data_that_was_changed_on_the_way_is_an_error() -> None:
    pair = Pair()
    pair.shake_hands()
    pair.client.write(b"hello")
    data = bytearray(pair.to_server.read())
    data[-1] ^= 1
    pair.server.receive(bytes(data))
    with pytest.raises(ssl.SSLError):
        list(pair.server.read())
