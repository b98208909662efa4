"""The server with several listeners, and its end."""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from starlette.responses import PlainTextResponse

from bybit_exporter.web.server import web_config
from bybit_exporter.web.server.listen import bind
from bybit_exporter.web.server.reloader import WebConfigReloader
from bybit_exporter.web.server.server import BACKLOG, WebServer
from tests.certificates import FIXTURES
from tests.support import eventually


@contextlib.contextmanager
def serving(*listeners: socket.socket, file: str = "empty") -> Iterator[WebServer]:
    reloader = WebConfigReloader(None, web_config.load(FIXTURES / f"{file}.good.yml"))
    server = WebServer(PlainTextResponse("hello"), listeners, ended.set, reloader, 256)
    server.start()
    try:
        yield server
    finally:
        server.stop()


ended = threading.Event()


def status(port: int, host_header: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/", headers={"Host": host_header})
    answer = connection.getresponse().status
    connection.close()
    return answer


def test_foreign_host_names_are_refused_only_where_the_listener_is_on_loopback() -> None:
    loopback, everywhere = bind("127.0.0.1", 0), bind("0.0.0.0", 0)
    local_port, open_port = loopback.getsockname()[1], everywhere.getsockname()[1]
    with serving(loopback, everywhere):
        assert (status(local_port, "localhost"), status(local_port, "evil.example")) == (200, 421)
        assert (status(open_port, "localhost"), status(open_port, "evil.example")) == (200, 200)


def test_every_connection_of_a_burst_is_answered_before_newer_ones_replace_it() -> None:
    """Or else clients that only connect again and again would keep out Prometheus."""
    listener = bind("127.0.0.1", 0)
    with contextlib.ExitStack() as cleanup:
        clients = [cleanup.enter_context(socket.create_connection(listener.getsockname())) for _ in range(400)]
        for client in clients:
            client.settimeout(10)
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        cleanup.enter_context(serving(listener))
        assert [client.recv(12) for client in clients] == [b"HTTP/1.1 200"] * 400


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell the length of the queue")
def test_kernel_queues_more_connections_than_are_accepted_at_once() -> None:
    listener = bind("127.0.0.1", 0)
    with serving(listener):
        assert status(listener.getsockname()[1], "localhost") == 200
        queue = struct.unpack_from("I", listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 28)[0]
    assert queue == BACKLOG


@pytest.mark.parametrize("file", ["empty", "tls"])
def test_server_that_stops_ends_half_open_connections(file: str, caplog: pytest.LogCaptureFixture) -> None:
    listener = bind("127.0.0.1", 0)
    ended.clear()
    with serving(listener, file=file) as server, contextlib.ExitStack() as cleanup:
        clients = [cleanup.enter_context(socket.create_connection(listener.getsockname())) for _ in range(5)]
        for client in clients:
            client.sendall(b"\x16\x03\x01" if file == "tls" else b"GET / HT")
        eventually(lambda: server._server.server_state.connections, 10)
        start = time.monotonic()
        server.stop()
        assert ended.is_set()
        assert time.monotonic() - start < 1.4
        for client in clients:
            client.settimeout(10)
            with contextlib.suppress(ConnectionError):
                assert client.recv(1) == b""
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
