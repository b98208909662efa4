"""Clients that are slow, greedy or confused. The limits are real; where a test would have to wait, they are shorter."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from bybit_exporter.sandbox import Exchange, Holding, SandboxServer
from bybit_exporter.web.server import connections as web_connections
from bybit_exporter.web.server import web_config
from bybit_exporter.web.server.listen import bind
from bybit_exporter.web.server.reloader import WebConfigReloader
from bybit_exporter.web.server.server import WebServer
from bybit_exporter.web.server.tls_transport import TlsTransport
from tests.certificates import CA, FIXTURES, client_context
from tests.exporter_process import ExporterProcess, config_for
from tests.support import eventually

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = b"x" * (5 << 20)

Serve = Callable[..., tuple[str, int]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers in this process: `serve(app, max_connections, web_config_file)` gives an address."""
    with contextlib.ExitStack() as cleanup:

        def start(
            app: ASGIApp | None = None, max_connections: int = 20, file: str = "empty.good.yml"
        ) -> tuple[str, int]:
            reloader = WebConfigReloader(None, web_config.load(FIXTURES / file))
            listener = bind("127.0.0.1", 0)
            server = WebServer(app or PlainTextResponse("hello"), [listener], lambda: None, reloader, max_connections)
            address = listener.getsockname()[:2]
            server.start()
            cleanup.callback(server.stop)
            return str(address[0]), int(address[1])

        yield start


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_connections, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(web_connections, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(web_connections, "IDLE_SECONDS", 1.0)


def connect(address: tuple[str, int], tls: bool = False) -> socket.socket:
    connection = socket.create_connection(address, timeout=20)
    return client_context().wrap_socket(connection, server_hostname="localhost") if tls else connection


def read_all(connection: socket.socket) -> bytes:
    """Until the other side ends the connection, in whatever manner."""
    received = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while chunk := connection.recv(1 << 16):
            received += chunk
    return received


def read_answer(connection: socket.socket) -> bytes:
    received = b""
    while not re.search(rb"\r\n\r\n(hello)?\Z", received):
        chunk = connection.recv(1 << 16)
        assert chunk, received
        received += chunk
    return received


def seconds_until_ended(connection: socket.socket) -> float:
    start = time.monotonic()
    read_all(connection)
    return time.monotonic() - start


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("sent", [b"", b"GET / HT", REQUEST[:-2]])
def test_a_head_that_does_not_end_in_time(serve: Serve, tls: bool, sent: bytes) -> None:
    with connect(serve(file="tls.good.yml" if tls else "empty.good.yml"), tls) as connection:
        connection.sendall(sent)
        assert 0.1 < seconds_until_ended(connection) < 10


@pytest.mark.usefixtures("short")
def test_a_head_that_drips_does_not_win_time(serve: Serve) -> None:
    with connect(serve()) as connection:
        start = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - start < 10:
                connection.sendall(b"G")
                time.sleep(0.02)
        assert time.monotonic() - start < 5


@pytest.mark.usefixtures("short")
def test_a_handshake_that_does_not_end_in_time(serve: Serve) -> None:
    address = serve(file="tls.good.yml")
    for sent in (b"", b"\x16\x03\x01\x02\x00"):
        with connect(address) as connection:
            connection.sendall(sent)
            assert seconds_until_ended(connection) < 10


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("tls", [False, True])
def test_an_idle_connection_ends_later_than_one_in_the_middle_of_a_head(serve: Serve, tls: bool) -> None:
    address = serve(file="tls.good.yml" if tls else "empty.good.yml")
    with connect(address, tls) as idle, connect(address, tls) as halfway:
        for connection in (idle, halfway):
            connection.sendall(REQUEST)
            assert read_answer(connection)
        halfway.sendall(b"GET")
        assert seconds_until_ended(halfway) < 0.9
        assert 0.2 < seconds_until_ended(idle) < 10


@pytest.mark.usefixtures("short")
def test_an_answer_that_nobody_reads_is_dropped(serve: Serve) -> None:
    with connect(serve(PlainTextResponse(LARGE))) as connection:
        connection.sendall(REQUEST * 2)
        time.sleep(2)
        assert len(read_all(connection)) < len(LARGE)


@pytest.mark.usefixtures("short")
def test_an_answer_that_is_not_ready_in_time_is_dropped(serve: Serve) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(30)

    with connect(serve(app)) as connection:
        connection.sendall(REQUEST)
        assert seconds_until_ended(connection) < 10


def test_a_large_answer_arrives(serve: Serve) -> None:
    for tls in (False, True):
        with connect(serve(PlainTextResponse(LARGE), file="tls.good.yml" if tls else "empty.good.yml"), tls) as client:
            client.sendall(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert read_all(client).endswith(LARGE)


HEADERS = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "head",
    [
        HEADERS + b"X: " + b"a" * 20_000 + b"\r\n\r\n",
        HEADERS + b"".join(b"X%d: a\r\n" % number for number in range(3000)) + b"\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        HEADERS + b"X: " + b"a" * 13_000_000,
        REQUEST + HEADERS + b"X: " + b"a" * 250_000 + b"\r\n\r\n",
    ],
    ids=["a header", "many headers", "the path", "13 MB", "pipelined"],
)
def test_a_head_that_is_too_large(serve: Serve, head: bytes) -> None:
    with connect(serve()) as connection:
        sender = threading.Thread(target=_send, args=(connection, head))
        sender.start()
        received = read_all(connection)
        sender.join(10)
    assert received.count(b"200 OK") <= head.count(REQUEST)
    assert not received or re.match(rb"HTTP/1.1 (431|200) ", received)


def _send(connection: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(data)


def test_requests_far_ahead_of_the_answer(serve: Serve) -> None:
    asked = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.set()
        await asyncio.sleep(15)

    with connect(serve(app)) as connection:
        connection.sendall(REQUEST)
        assert asked.wait(10)
        connection.sendall(HEADERS + b"X: a\r\n" * 4000 + b"\r\n")
        assert seconds_until_ended(connection) < 10


def test_a_head_of_15_kb_is_fine(serve: Serve) -> None:
    with connect(serve()) as connection:
        connection.sendall(HEADERS + b"Cookie: " + b"a" * 15_000 + b"\r\n\r\n")
        assert b"200 OK" in read_answer(connection)


GARBAGE = [
    b"\x00" * 5000,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 600,
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"G\xffT / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
]


@pytest.mark.parametrize("before", [b"", REQUEST, REQUEST * 50], ids=["at once", "pipelined", "far back"])
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_ends_the_connection(serve: Serve, garbage: bytes, before: bytes, caplog: Any) -> None:
    with connect(serve()) as connection:
        _send(connection, before + garbage)
        received = read_all(connection)
    assert received.count(b"200 OK") <= before.count(REQUEST)
    rest = received.rpartition(b"hello")[2]
    assert rest == b"" or re.match(rb"HTTP/1\.1 4\d\d ", rest)
    if rest:
        assert b"x-content-type-options: nosniff" in rest.lower()
        assert b"cache-control: no-store" in rest.lower()
        assert b"server:" not in rest.lower()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_body_that_breaks_off_into_garbage(serve: Serve, caplog: Any) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    for body in (b"zz\r\n", b"5\r\nhelloXX", b"fffffffff\r\n" + b"a" * 300_000):
        with connect(serve()) as connection:
            _send(connection, head + body)
            assert b"200 OK" not in read_all(connection)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_the_oldest_silent_connection_makes_room(serve: Serve) -> None:
    address = serve(max_connections=3)
    silent = [connect(address) for _ in range(3)]
    silent[2].sendall(b"GET / HT")
    with connect(address) as prometheus:
        prometheus.sendall(REQUEST)
        assert b"200 OK" in read_answer(prometheus)
        assert read_all(silent[0]) == b"", "it was there first, and has asked for nothing"
        silent[1].sendall(REQUEST)
        assert b"200 OK" in read_answer(silent[1])
    for connection in silent:
        connection.close()


def test_connections_that_are_being_answered_are_kept(serve: Serve) -> None:
    asked, go = threading.Semaphore(0), threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.release()
        while not go.is_set():
            await asyncio.sleep(0.01)
        await PlainTextResponse("hello")(scope, receive, send)

    address = serve(app, max_connections=3)
    busy = [connect(address) for _ in range(3)]
    for connection in busy:
        connection.sendall(REQUEST)
        assert asked.acquire(timeout=10)
    for _ in range(5):
        with connect(address) as late:
            assert read_all(late) == b"", "dropped, not queued"
    go.set()
    for connection in busy:
        assert b"200 OK" in read_answer(connection)
        connection.close()


@pytest.mark.parametrize("tls", [False, True])
def test_clients_that_do_not_read_make_room(serve: Serve, tls: bool) -> None:
    address = serve(PlainTextResponse(LARGE), 3, "tls.good.yml" if tls else "empty.good.yml")
    lazy = [connect(address, tls) for _ in range(3)]
    for connection in lazy:
        connection.sendall(REQUEST)
        assert connection.recv(100)
    time.sleep(0.5)  # until the server has filled what the sockets take
    with connect(address, tls) as prometheus:
        prometheus.sendall(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert read_all(prometheus).endswith(LARGE)
    assert len(read_all(lazy[0])) < len(LARGE)
    for connection in lazy:
        connection.close()


@pytest.mark.parametrize("file", ["empty.good.yml", "tls.good.yml"])
def test_nothing_is_left_of_connections_that_were_dropped(serve: Serve, file: str) -> None:
    def left() -> int:
        gc.collect()
        return sum(isinstance(thing, web_connections.Connection | TlsTransport) for thing in gc.get_objects())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/block":
            time.sleep(0.5)
        await PlainTextResponse("hello")(scope, receive, send)

    others, address = left(), serve(app, max_connections=10, file=file)
    with connect(address, tls="tls" in file) as blocking:
        blocking.sendall(REQUEST.replace(b"/", b"/block", 1))
        connections = [connect(address) for _ in range(300)]
    with connect(address, tls="tls" in file) as prometheus:
        prometheus.sendall(REQUEST)
        assert b"200 OK" in read_answer(prometheus)
        eventually(lambda: left() - others <= 20, 20)
    for connection in connections:
        connection.close()
    eventually(lambda: left() - others <= 0, 20)


# The whole program under attack.


@pytest.fixture
def file() -> str:
    return "empty.good.yml"


@pytest.fixture
def exporter(tmp_path: Path, file: str) -> Iterator[ExporterProcess]:
    exchange = Exchange()
    exchange.add_account("main", {f"COIN{number}": Holding("1", "1") for number in range(300)})
    with (
        SandboxServer(exchange) as server,
        ExporterProcess(
            config_for(exchange, server.base_url), tmp_path, flags=[f"--web.config.file={FIXTURES}/{file}"]
        ) as exporter,
    ):
        eventually(lambda: exporter.get("/-/ready", verify=str(CA)).status_code == 200, 20)
        yield exporter


def status_of(process: ExporterProcess) -> dict[str, int]:
    text = Path(f"/proc/{process.process.pid}/status").read_text()
    wanted = {"Threads", "VmRSS"}
    return {
        name: int(rest.split()[0]) for name, rest in (line.split(":") for line in text.splitlines()) if name in wanted
    }


def descriptors(process: ExporterProcess) -> int:
    return len(list(Path(f"/proc/{process.process.pid}/fd").iterdir()))


@pytest.mark.parametrize("file", ["empty.good.yml", "tls.good.yml"])
def test_1500_half_open_requests(exporter: ExporterProcess, many_files: None, file: str) -> None:
    exporter.get("/metrics", verify=str(CA))
    before = status_of(exporter)
    host, port = exporter.base_url.rpartition("/")[2].split(":")
    beginning = b"\x16\x03\x01" if "tls" in file else b"GET /metrics HTTP/1.1\r\nHost: local"
    with contextlib.ExitStack() as cleanup:
        for _ in range(1500):
            connection = cleanup.enter_context(socket.create_connection((host, int(port)), timeout=10))
            _send(connection, beginning)
        slowest = 0.0
        for _ in range(20):
            start = time.monotonic()
            assert exporter.get("/metrics", verify=str(CA)).status_code == 200
            slowest = max(slowest, time.monotonic() - start)
        during = status_of(exporter)
        assert descriptors(exporter) < 256 + 100  # 256: the default of --web.max-connections
    assert slowest < 3
    assert during["Threads"] - before["Threads"] <= 4
    assert during["VmRSS"] - before["VmRSS"] < 40_000
    print(f"half-open: slowest scrape {slowest * 1000:.0f} ms, {before} -> {during}")  # noqa: T201


def test_50_clients_ask_for_the_metrics_at_once(exporter: ExporterProcess) -> None:
    before = status_of(exporter)
    results: list[tuple[int, float]] = []

    def scrape() -> None:
        start = time.monotonic()
        response = requests.get(exporter.base_url + "/metrics", timeout=30)
        results.append((response.status_code, time.monotonic() - start))

    threads = [threading.Thread(target=scrape) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    during = status_of(exporter)
    assert [status for status, _ in results] == [200] * 50
    assert during["Threads"] - before["Threads"] <= 8
    print(f"50 clients: slowest {max(seconds for _, seconds in results):.2f} s, {before} -> {during}")  # noqa: T201
