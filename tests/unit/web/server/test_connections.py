"""The order in which connections are dropped, and the behaviour of uvicorn that the server relies on."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from bybit_exporter.web.server.connections import MAX_HEAD_BYTES, HttpProtocol, OpenConnections
from bybit_exporter.web.server.reloader import WebConfigReloader


class FakeConnection:
    def __init__(self, *, reads_slowly: bool = False) -> None:
        self.reads_slowly = reads_slowly
        self.is_closing = False

    def drop(self) -> None:
        self.is_closing = True


def open_connections(*connections: Any) -> OpenConnections:
    opened = OpenConnections(len(connections))
    for connection in connections:
        opened.add(connection)
    return opened


def test_open_connections_at_limit_drop_the_one_that_waits_longest() -> None:
    first, second, new = FakeConnection(), FakeConnection(), FakeConnection()
    opened: Any = open_connections(first, second)
    opened.mark(first, answering=True)
    opened.mark(first, answering=False)
    opened.add(new)
    assert [connection.is_closing for connection in (first, second, new)] == [False, True, False]


def test_open_connections_that_are_all_answered_drop_the_slow_reader() -> None:
    first, second, new = FakeConnection(), FakeConnection(reads_slowly=True), FakeConnection()
    opened: Any = open_connections(first, second)
    opened.mark(first, answering=True)
    opened.mark(second, answering=True)
    opened.add(new)
    assert [connection.is_closing for connection in (first, second, new)] == [False, True, False]


def test_open_connections_that_are_all_read_drop_the_new_one() -> None:
    first, new = FakeConnection(), FakeConnection()
    opened: Any = open_connections(first)
    opened.mark(first, answering=True)
    opened.add(new)
    assert [connection.is_closing for connection in (first, new)] == [False, True]
    assert new not in opened


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.state = "open"

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"

    def is_closing(self) -> bool:
        return self.state != "open"

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def exchange(data: bytes, app: Any, protocols: list[Any] | None = None) -> tuple[HttpProtocol, FakeTransport]:
    """Passes data to uvicorn's protocol, as `Connection` does, and waits for the applications it starts."""
    config = uvicorn.Config(app, ws="none", lifespan="off", h11_max_incomplete_event_size=MAX_HEAD_BYTES)
    state, transport = ServerState(), FakeTransport()
    http = HttpProtocol(WebConfigReloader(), config=config, server_state=state, app_state={})
    http.app_state = {"connection": "the connection"}
    (protocols if protocols is not None else []).append(http)
    http.connection_made(transport)
    http.data_received(data)
    await asyncio.wait_for(asyncio.gather(*state.tasks), 10)
    return http, transport


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-state", repr(scope["state"]).encode())]})
    await send({"type": "http.response.body", "body": b"hello"})


def test_uvicorn_passes_the_state_to_each_request() -> None:
    _, transport = asyncio.run(exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", answer))
    assert b"x-state: {'connection': 'the connection'}" in transport.written


def test_uvicorn_calls_the_one_method_that_is_overridden() -> None:
    assert {
        name for name in vars(HttpProtocol) if name in vars(H11Protocol) and callable(getattr(HttpProtocol, name))
    } == {
        "__init__",
        "send_400_response",
    }
    _, transport = asyncio.run(exchange(b"\0" * 50 + b"\r\n\r\n", answer))
    assert transport.written.startswith(b"HTTP/1.1 400 ")
    assert b"nosniff" in transport.written
    assert transport.state == "closed"


def test_malformed_body_during_an_answer_aborts_the_connection() -> None:
    """uvicorn itself would write the head of a second answer into the first."""
    states = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        protocol: Any = protocols[0]
        protocol.data_received(b"zz\r\n")
        states.append(protocol.transport.state)
        await send({"type": "http.response.body", "body": b"hello"})

    protocols: list[Any] = []
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    _, transport = asyncio.run(exchange(head, app, protocols))
    assert states == ["aborted"]
    assert transport.written.count(b"HTTP/1.1") == 1


def test_h11_returns_unparsed_data() -> None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"GET /")
    assert connection.next_event() is h11.NEED_DATA
    assert connection.trailing_data[0] == b"GET /"
