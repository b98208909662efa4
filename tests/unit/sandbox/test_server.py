"""The embedded exchange through real sockets: HTTP, TLS, shutdown, and every fault."""

from __future__ import annotations

import gzip
import io
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bybit_exporter.sandbox import ASSET_INFO, SERVER_TIME, UNLIMITED, Account, Exchange, Holding, SandboxServer, faults
from bybit_exporter.sandbox.messages import Fault, Response, Wire
from tests.support import bybit_headers, eventually

KEY, SECRET = "key-of-main", "secret-of-main"


@pytest.fixture
def exchange() -> Exchange:
    exchange = Exchange(limits=UNLIMITED)
    exchange.add_account("main", {"ETH": Holding("11.53485")}, api_key=KEY, api_secret=SECRET)
    return exchange


@pytest.fixture
def account(exchange: Exchange) -> Account:
    return exchange.accounts["main"]


@pytest.fixture
def server(exchange: Exchange) -> Iterator[SandboxServer]:
    with SandboxServer(exchange) as server:
        yield server


@dataclass
class Received:
    """What a client read. ``ended`` says how: by its own length, ``eof``, ``reset`` or ``timeout``."""

    status: int
    headers: dict[str, str]
    body: bytes
    ended: str

    def code(self) -> int:
        return int(json.loads(self.body)["retCode"])


class Client:
    """One connection on a plain socket, without the checks of an HTTP client."""

    def __init__(self, server: SandboxServer, timeout: float = 5.0, tls: ssl.SSLContext | None = None) -> None:
        plain = socket.create_connection(("127.0.0.1", server.port), timeout)
        self.socket = tls.wrap_socket(plain, server_hostname="localhost") if tls else plain

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, path: str = ASSET_INFO, query: str = "accountType=SPOT", extra: str = "") -> None:
        headers = bybit_headers(KEY, SECRET, query, time.time())
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.socket.sendall(f"GET {path}?{query} HTTP/1.1\r\nHost: x\r\n{lines}{extra}\r\n".encode())

    def ask(self, path: str = ASSET_INFO, query: str = "accountType=SPOT", extra: str = "") -> Received:
        self.send(path, query, extra)
        return self.receive()

    def receive(self, most: int = 10_000_000) -> Received:
        data, ended = b"", ""
        while not ended and not _complete(data) and len(data) < most:
            try:
                piece = self.socket.recv(65536)
                data, ended = data + piece, "" if piece else "eof"
            except ConnectionResetError:
                ended = "reset"
            except TimeoutError:
                ended = "timeout"
        return _parse(data, ended)


def _parse(data: bytes, ended: str) -> Received:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    return Received(int(first.split()[1]) if first else 0, headers, body, ended)


def _complete(data: bytes) -> bool:
    if b"\r\n\r\n" not in data:
        return False
    received = _parse(data, "")
    length = received.headers.get("content-length")
    return length is not None and len(received.body) >= int(length)


@pytest.fixture
def client(server: SandboxServer) -> Iterator[Client]:
    with Client(server) as client:
        yield client


# --- HTTP


def test_connection_is_kept_alive(server: SandboxServer, client: Client) -> None:
    for _ in range(20):
        assert client.ask().code() == 0
    assert (server.accepted_connections, server.open_connections) == (1, 1)
    client.socket.close()
    eventually(lambda: server.open_connections == 0)


def test_connection_is_closed_if_the_client_asks(client: Client) -> None:
    answer = client.ask(extra="Connection: close\r\n")
    assert (answer.code(), answer.headers["connection"]) == (0, "close")
    assert client.receive().ended == "eof"


def test_answer_has_a_date_and_a_length(client: Client) -> None:
    answer = client.ask()
    assert answer.headers["date"].endswith("gmt")
    assert int(answer.headers["content-length"]) == len(answer.body)


def test_query_reaches_the_exchange_unchanged(client: Client, account: Account) -> None:
    assert client.ask(query="coin=%45TH&accountType=SPOT&").code() == 0
    assert account.requests[-1].request.query == "coin=%45TH&accountType=SPOT&"


@pytest.mark.parametrize("extra", ["Content-Length: 2\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"])
def test_get_with_a_body_is_forbidden(extra: str, client: Client) -> None:
    assert client.ask(extra=extra).status == 403


@pytest.mark.parametrize(
    "request_text",
    [
        "nonsense\r\n\r\n",
        "get /v5/market/time HTTP/1.1\r\n\r\n",
        "GET v5 HTTP/1.1\r\n\r\n",
        "GET / HTTP/2\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nname : value\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "GET /" + "a" * 20_000 + " HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\na: " + "b:" * 10_000 + "\r\n\r\n",
        "GET / HTTP/1.1\r\n" + "a: b\r\n" * 101 + "\r\n",
    ],
)
def test_malformed_request_is_400_and_ends_the_connection(request_text: str, client: Client) -> None:
    client.socket.sendall(request_text.encode())
    assert client.receive().status == 400
    assert client.receive().ended in ("eof", "reset")


def test_pipelined_requests_are_answered_in_order(client: Client) -> None:
    client.socket.sendall(f"GET {SERVER_TIME} HTTP/1.1\r\n\r\nGET /nowhere HTTP/1.1\r\n\r\n".encode())
    text = b""
    while b"10017" not in text:
        text += client.socket.recv(65536)
    assert text.index(b"timeSecond") < text.index(b"10017")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "", "example.com"])
def test_address_that_is_not_loopback_is_an_error(host: str, exchange: Exchange) -> None:
    with pytest.raises(ValueError, match="not a loopback address"):
        SandboxServer(exchange, host)


def test_ipv6_loopback_is_served(exchange: Exchange) -> None:
    try:
        server = SandboxServer(exchange, "::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with server:
        assert server.base_url == f"http://[::1]:{server.port}"
        socket.create_connection(("::1", server.port), 5).close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate for localhost in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout -"
    extension = ["-addext", "subjectAltName=DNS:localhost"]
    made = subprocess.run([*command.split(), *extension], capture_output=True, text=True, check=True)
    path.write_text(made.stdout)
    return path


@pytest.fixture
def tls_server(exchange: Exchange, certificate: Path) -> Iterator[SandboxServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with SandboxServer(exchange, ssl_context=context) as server:
        yield server


def test_tls_is_served(tls_server: SandboxServer, certificate: Path, account: Account) -> None:
    assert tls_server.base_url.startswith("https://")
    with Client(tls_server, tls=ssl.create_default_context(cafile=str(certificate))) as client:
        assert client.ask().code() == 0
        assert client.ask().code() == 0
        account.fault = faults.Reset()
        answer = client.ask()
    assert (answer.status, answer.body) == (0, b"")
    assert answer.ended in ("reset", "eof"), "which of the two Python reports under TLS depends on its version"


def test_client_that_rejects_the_certificate_affects_no_other(
    tls_server: SandboxServer, certificate: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(tls_server, tls=ssl.create_default_context())
    with Client(tls_server, tls=ssl.create_default_context(cafile=str(certificate))) as client:
        assert client.ask().code() == 0
    assert capfd.readouterr().err == ""


# --- stopping


@pytest.mark.parametrize(
    "fault", [None, faults.Hang(), faults.Drip(0.01), faults.Drip(60.0), faults.Delay(60.0), faults.Flood()]
)
def test_stop_is_quick_and_closes_all_connections(fault: Fault | None, exchange: Exchange) -> None:
    exchange.fault = fault
    server = SandboxServer(exchange).start()
    before = threading.active_count()
    with Client(server) as busy, Client(server) as idle:
        busy.send()
        eventually(lambda: exchange.request_count == 1 and server.open_connections == 2)
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 1.0
        assert server.open_connections == 0
        assert idle.receive().ended in ("eof", "reset")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), 1)
    eventually(lambda: threading.active_count() < before)
    server.stop()


def test_server_that_was_not_started_can_be_stopped(exchange: Exchange) -> None:
    SandboxServer(exchange).stop()


# --- faults


def test_fault_retcode_is_in_the_envelope(client: Client, account: Account) -> None:
    account.fault = faults.RetCode(10016)
    answer = client.ask()
    assert (answer.status, answer.code()) == (200, 10016)
    assert json.loads(answer.body)["retMsg"] == "Internal server error."
    assert json.loads(answer.body)["time"] > 0
    account.fault = faults.RetCode(424242, "out of order")
    assert json.loads(client.ask().body)["retMsg"] == "out of order"
    account.fault = None
    assert client.ask().code() == 0


@pytest.mark.parametrize(("stamp", "expected"), [("12345", "12345"), ("soon", "soon"), (None, None)])
def test_fault_too_many_visits_has_the_given_reset(
    stamp: str | None, expected: str | None, client: Client, account: Account
) -> None:
    account.fault = faults.TooManyVisits(stamp)
    answer = client.ask()
    assert answer.code() == 10006
    assert answer.headers["x-bapi-limit-status"] == "0"
    assert answer.headers.get("x-bapi-limit-reset-timestamp") == expected


@pytest.mark.parametrize(
    ("fault", "status", "body", "header"),
    [
        (faults.access_too_frequent(), 403, b"access too frequent", ("content-type", "text/plain")),
        (faults.too_many_requests("7"), 429, b"", ("retry-after", "7")),
        (faults.too_many_requests(), 429, b"", ("retry-after", None)),
        (faults.redirect("http://127.0.0.1:1/x"), 302, b"", ("location", "http://127.0.0.1:1/x")),
        (faults.Status(502, b"<html>"), 502, b"<html>", ("content-type", "text/html")),
        (faults.Status(401), 401, b"", ("content-length", "0")),
        (faults.Status(599), 599, b"", ("content-length", "0")),
    ],
)
def test_fault_status_has_the_given_status(
    fault: Fault, status: int, body: bytes, header: tuple[str, str | None], client: Client, account: Account
) -> None:
    account.fault = fault
    answer = client.ask()
    assert (answer.status, answer.body, answer.headers.get(header[0])) == (status, body, header[1])
    account.fault = None
    assert client.ask().code() == 0, "the connection is still good"


def test_fault_body_has_the_given_body(client: Client, account: Account) -> None:
    account.fault = faults.Body(b"[1, 2")
    answer = client.ask()
    assert (answer.status, answer.body) == (200, b"[1, 2")
    account.fault = faults.nested()
    assert client.ask().body == b"[" * 200_000 + b"]" * 200_000


def test_fault_mutate_changes_the_envelope(client: Client, account: Account) -> None:
    def no_free(envelope: dict[str, Any]) -> None:
        del envelope["result"]["spot"]["assets"][0]["free"]

    account.fault = faults.Mutate(no_free)
    assert json.loads(client.ask().body)["result"]["spot"]["assets"] == [{"coin": "ETH", "frozen": "0", "withdraw": ""}]
    account.fault = faults.Mutate(lambda envelope: envelope.pop("retCode"))
    assert "retCode" not in json.loads(client.ask().body)


def test_fault_delay_answers_later(client: Client, account: Account) -> None:
    account.fault = faults.Delay(0.2)
    started = time.monotonic()
    assert client.ask().code() == 0
    assert time.monotonic() - started >= 0.2


def test_fault_hang_answers_when_released(server: SandboxServer, account: Account) -> None:
    account.fault = hang = faults.Hang()
    with Client(server, timeout=0.3) as client:
        client.send()
        assert client.receive().ended == "timeout"
        hang.release()
        assert client.receive().code() == 0


@pytest.mark.parametrize("fault", [faults.Hang(), faults.Drip(0.01), faults.Drip(0.01, head=True), faults.Flood()])
def test_client_that_disconnects_frees_its_connection(fault: Fault, server: SandboxServer, account: Account) -> None:
    account.fault = fault
    with Client(server) as client:
        client.send()
        eventually(lambda: server.open_connections == 1 and account.request_count == 1)
    eventually(lambda: server.open_connections == 0)


def test_fault_drip_in_the_body_never_ends(server: SandboxServer, account: Account) -> None:
    account.fault = faults.Drip(0.001)
    with Client(server, timeout=0.5) as client:
        client.send()
        received = client.receive(most=600)
        assert (received.status, received.ended) == (200, "")
        assert received.body.startswith(b'{"retCode":0')
        assert received.body.endswith(b"    ")


def test_fault_drip_in_the_head_never_ends(server: SandboxServer, account: Account) -> None:
    account.fault = faults.Drip(0.01, head=True)
    with Client(server, timeout=0.5) as client:
        client.send()
        received = client.receive(most=60)
        assert (received.status, received.body, received.ended) == (200, b"", "")


def test_fault_reset_resets_the_connection(client: Client, account: Account) -> None:
    account.fault = faults.Reset()
    assert client.ask() == Received(0, {}, b"", "reset")


def test_fault_cut_ends_in_the_body(client: Client, account: Account) -> None:
    account.fault = faults.Cut()
    answer = client.ask()
    assert answer.ended == "eof"
    assert 0 < len(answer.body) < int(answer.headers["content-length"])


def test_fault_bomb_expands(client: Client, account: Account) -> None:
    account.fault = faults.Bomb(megabytes=64)
    answer = client.ask()
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.body) < 100_000
    assert len(gzip.decompress(answer.body)) == 64 * 1024 * 1024, "its checksum is right, too"


@pytest.mark.parametrize("announced", [True, False])
def test_fault_flood_is_longer_than_the_answer(announced: bool, client: Client, account: Account) -> None:
    account.fault = faults.Flood(megabytes=3, content_length=announced)
    answer = client.ask()
    assert len(answer.body) > 3 * 1024 * 1024
    assert json.loads(answer.body)["retCode"] == 0
    assert ("content-length" in answer.headers) is announced
    assert announced or answer.ended == "eof"


def test_fault_times_ends_after_its_count(client: Client, account: Account) -> None:
    account.fault = faults.Times(2, faults.RetCode(10016))
    assert [client.ask().code() for _ in range(4)] == [10016, 10016, 0, 0]


def test_fault_times_counts_across_threads(server: SandboxServer, exchange: Exchange) -> None:
    exchange.fault = faults.Times(50, faults.Status(500))
    statuses: list[int] = []

    def ask() -> None:
        with Client(server) as client:
            statuses.extend(client.ask().status for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (statuses.count(500), len(statuses)) == (50, 160)


def test_fault_of_an_account_does_not_affect_others(client: Client, exchange: Exchange, account: Account) -> None:
    account.fault = faults.Status(500)
    assert client.ask(SERVER_TIME, "").status == 500, "it carries the account's key"
    client.socket.sendall(f"GET {SERVER_TIME} HTTP/1.1\r\n\r\n".encode())
    assert client.receive().status == 200
    exchange.fault = faults.Status(502)
    client.socket.sendall(f"GET {SERVER_TIME} HTTP/1.1\r\n\r\n".encode())
    assert client.receive().status == 502
    assert client.ask().status == 500, "the fault of the account has priority"


def test_fault_can_be_any_object_with_play(client: Client, account: Account) -> None:
    class Teapot:
        def play(self, wire: Wire, response: Response) -> None:
            wire.respond(Response(418, response.body))

    account.fault = Teapot()
    assert client.ask().status == 418


def test_exception_in_a_fault_is_printed(client: Client, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    # pytest's own capture loses what a thread prints while it is read.
    printed = io.StringIO()
    monkeypatch.setattr(sys, "stderr", printed)
    account.fault = faults.Mutate(lambda envelope: envelope["typo"])
    assert client.ask().ended == "eof"
    eventually(lambda: "KeyError: 'typo'" in printed.getvalue())
