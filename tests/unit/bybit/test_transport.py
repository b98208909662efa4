"""HTTP GETs on real sockets: the deadline holds with any peer, and no peer learns anything it should not."""

from __future__ import annotations

import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bybit_exporter.bybit.errors import BybitError
from bybit_exporter.bybit.transport import MAX_BODY_BYTES, Response, Transport
from bybit_exporter.sandbox import Exchange, SandboxServer, faults
from tests.in_process import JumpingClock
from tests.support import eventually, free_port, require_real

TIMEOUT = 0.5
SLACK = 1.5
"""Tolerance for a busy machine. A request without a deadline would hang for ever."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

Play = Callable[[socket.socket], None]


@contextmanager
def peer(play: Play | bytes, host: str = "127.0.0.1") -> Iterator[str]:
    """A server that calls ``play`` with each connection. Bytes are sent when a request has arrived."""
    listener = socket.create_server((host, 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if isinstance(play, bytes):
                connection.recv(65536)
                connection.sendall(play)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(65536)
            else:
                play(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def transport_to(url: str, timeout: float = TIMEOUT) -> Transport:
    return Transport(url, timeout_seconds=timeout, connections=4)


def ask(url: str, timeout: float = 5.0) -> Response:
    transport = transport_to(url, timeout)
    try:
        return transport.get("/v5/market/time", "", {})
    finally:
        transport.close()


def fails(url: str, timeout: float = 5.0) -> BybitError:
    with pytest.raises(BybitError) as failed:
        ask(url, timeout)
    return failed.value


def until_gone(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def drip(first: bytes, each: bytes) -> Play:
    def play(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(first)
        while True:
            connection.sendall(each)
            time.sleep(0.02)

    return play


SLOW: dict[str, Play] = {
    "never answers": until_gone,
    "drips its status line": drip(b"HTTP/1.1 200 ", b"O"),
    "drips a header": drip(b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "drips headers": drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "goes on with 100 Continue": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "drips a body": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b" "),
    "drips a body of no length": drip(b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    "drips chunks": drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "drips the size of a chunk": drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "drips gzip": drip(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10], gzip.compress(b" ")[10:11]
    ),
    "stops in the body": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b""),
}


@pytest.mark.parametrize("play", SLOW.values(), ids=SLOW)
def test_slow_peer_is_a_timeout_at_the_deadline(play: Play) -> None:
    with peer(play) as url:
        started = time.monotonic()
        failed = fails(url, TIMEOUT)
        lasted = time.monotonic() - started
    assert failed.reason == "timeout"
    assert str(failed) == "no complete answer within 0.5 s"
    assert TIMEOUT * 0.9 < lasted < TIMEOUT + SLACK


@pytest.mark.parametrize("play", [until_gone, drip(b"\x16\x03\x03\x40\x00", b"\x02")], ids=["hangs", "drips"])
def test_tls_handshake_that_does_not_end_is_a_timeout(play: Play) -> None:
    with peer(play) as url:
        started = time.monotonic()
        assert fails(url.replace("http://", "https://"), TIMEOUT).reason == "timeout"
        assert time.monotonic() - started < TIMEOUT + SLACK


NAME = "exchange.test"


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> str:
    """Gives NAME these addresses. Addresses still resolve to themselves."""
    real_getaddrinfo = socket.getaddrinfo

    def resolve(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == NAME:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
        return real_getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return f"http://{NAME}:{addresses[-1][1]}"


@contextmanager
def dead_addresses(port: int) -> Iterator[list[tuple[str, int]]]:
    """Three addresses that answer nothing to a SYN: their queues of connections to be accepted are full."""
    with ExitStack() as opened:
        addresses = []
        for number in range(3):
            listener = opened.enter_context(socket.socket())
            listener.bind((f"127.0.0.{2 + number}", port))
            listener.listen(0)
            addresses.append(listener.getsockname())
            for _ in range(4):
                filler = opened.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(addresses[-1])
        yield addresses


def test_deadline_with_several_dead_addresses_is_shared_by_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with dead_addresses(free_port()) as dead:
        url = resolves_to(monkeypatch, *dead)
        started = time.monotonic()
        assert fails(url, 1.5).reason == "timeout"
        assert time.monotonic() - started < 1.5 + SLACK


def test_connection_after_dead_addresses_has_time_for_one_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with peer(OK) as url:
        port = int(url.rpartition(":")[2])
        with dead_addresses(port) as dead:
            assert ask(resolves_to(monkeypatch, *dead, ("127.0.0.1", port)), 3.0).body == b"{}"


def test_connection_after_refusing_address_takes_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with peer(OK) as url:
        port = int(url.rpartition(":")[2])
        assert ask(resolves_to(monkeypatch, ("127.0.0.9", port), ("127.0.0.1", port))).body == b"{}"


def test_refused_connection_is_a_network_failure() -> None:
    failed = fails(f"http://127.0.0.1:{free_port()}")
    assert failed.reason == "network"
    assert "ConnectionRefusedError" in str(failed)


@pytest.mark.parametrize("host", ["nobody.invalid", "a" * 70 + ".invalid", "a..b.invalid", ".invalid", "xn--a.invalid"])
def test_host_name_that_does_not_resolve_is_a_network_failure(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real_getaddrinfo = socket.getaddrinfo

    def resolve(name: str, *args: Any, **kwargs: Any) -> Any:
        name.encode("idna")
        if name.endswith("invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real_getaddrinfo(name, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert fails(f"https://{host}").reason == "network"


BROKEN: dict[str, tuple[bytes, str]] = {
    "hangs up": (b"", "network"),
    "cuts the body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "network"),
    "cuts a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{", "network"),
    "cuts before a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "network"),
    "has a chunk of negative size": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n",
        "malformed",
    ),
    "speaks no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "malformed"),
    "speaks HTTP/0.9": (b"<html></html>", "malformed"),
    "has a status that is none": (b"HTTP/1.1 2000000 OK\r\n\r\n", "malformed"),
    "has an endless line": (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "malformed"),
    "has endless headers": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, "malformed"),
    "says gzip and is none": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone",
        "malformed",
    ),
    "says deflate and is none": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 4\r\n\r\nnone",
        "malformed",
    ),
}


@pytest.mark.parametrize(("answer", "reason"), BROKEN.values(), ids=BROKEN)
def test_broken_answer_is_a_network_failure_or_malformed(answer: bytes, reason: str) -> None:
    with peer(answer) as url:
        failed = fails(url)
    assert failed.reason == reason
    assert len(str(failed)) < 200


def test_part_of_an_answer_in_place_of_a_status_line_is_not_quoted() -> None:
    with peer(b'"free":"98765.4321"}\r\n\r\n') as url:
        assert str(fails(url)) == "BadStatusLine"


def test_reset_connection_is_a_network_failure() -> None:
    def play(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with peer(play) as url:
        failed = fails(url)
    assert failed.reason == "network"
    assert "ConnectionResetError" in str(failed)


def with_body(size: int, coding: str = "") -> bytes:
    body = b" " * size
    head = b"HTTP/1.1 200 OK\r\n"
    if coding:
        body, head = gzip.compress(body), head + b"Content-Encoding: gzip\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("coding", ["", "gzip"])
def test_body_of_one_mebibyte_is_accepted_and_more_is_malformed(coding: str) -> None:
    with peer(with_body(MAX_BODY_BYTES, coding)) as url:
        assert len(ask(url).body) == MAX_BODY_BYTES
    with peer(with_body(MAX_BODY_BYTES + 1, coding)) as url:
        failed = fails(url)
    assert (failed.reason, str(failed)) == ("malformed", "the answer is larger than 1048576 bytes")


def test_bytes_after_a_body_are_not_the_next_answer() -> None:
    """Accounts share connections: a request must not read bytes that an earlier answer has left."""
    stray = b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"stray":true}'

    def play(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(OK + stray)
        while connection.recv(65536):
            connection.sendall(OK)

    with peer(play) as url:
        transport = transport_to(url, 5.0)
        for _ in range(3):
            assert transport.get("/", "", {}).body == b"{}"
        transport.close()


def test_redirect_is_not_followed() -> None:
    with peer(OK) as target:
        visited = []

        def play(connection: socket.socket) -> None:
            visited.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: %s/\r\nContent-Length: 0\r\n\r\n" % target.encode())

        with peer(play) as url:
            assert ask(url).status == 302
    assert len(visited) == 1


def test_query_is_sent_unchanged_and_without_a_body() -> None:
    seen = []

    def play(connection: socket.socket) -> None:
        seen.append(connection.recv(65536))
        connection.sendall(OK)

    with peer(play) as url:
        transport = transport_to(url)
        transport.get("/v5/x", "b=%2C&a=1,2&c=%20", {"X-BAPI-SIGN": "s"})
        transport.close()
    head = seen[0].decode()
    assert head.startswith("GET /v5/x?b=%2C&a=1,2&c=%20 HTTP/1.1\r\n")
    assert head.endswith("\r\n\r\n")
    assert "content-length" not in head.lower()
    assert "X-BAPI-SIGN: s\r\n" in head


def test_cookies_are_not_kept() -> None:
    seen = []

    def play(connection: socket.socket) -> None:
        while request := connection.recv(65536):
            seen.append(request)
            connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n"))

    with peer(play) as url:
        transport = transport_to(url)
        transport.get("/", "", {})
        transport.get("/", "", {})
        transport.close()
    assert len(seen) == 2
    assert b"ookie" not in seen[1]


def test_connection_is_kept_alive() -> None:
    with SandboxServer(Exchange()) as server:
        transport = transport_to(server.base_url, 5.0)
        for _ in range(5):
            transport.get("/v5/market/time", "", {})
        assert server.accepted_connections == 1
        transport.close()


@pytest.mark.parametrize(
    ("head", "reusable"),
    [
        (b"Content-Length: 2\r\n\r\n{}", True),
        (b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", True),
        (b"Content-Length: 2\r\nConnection: close\r\n\r\n{}", False),
        (b"Content-Length: %d\r\n\r\n%s" % (MAX_BODY_BYTES + 2, b" " * (MAX_BODY_BYTES + 2)), False),
    ],
    ids=["of that length", "in chunks", "the last", "not read to its end"],
)
def test_connection_is_reused_if_its_answer_was_read(head: bytes, reusable: bool) -> None:
    used = []

    def play(connection: socket.socket) -> None:
        while connection.recv(65536):
            used.append(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + head)

    with peer(play) as url:
        transport = transport_to(url, 5.0)
        for _ in range(2):
            with suppress(BybitError):
                transport.get("/", "", {})
        transport.close()
    assert len(used) == 2
    assert (used[0] is used[1]) is reusable


def test_header_given_twice_has_its_first_value() -> None:
    answer = b"HTTP/1.1 200 OK\r\nx-bapi-LIMIT: 60\r\nX-Bapi-Limit: 6\r\nX-Long: a\r\n\t b\r\nContent-Length: 0\r\n\r\n"
    with peer(answer) as url:
        headers = ask(url).headers
    assert [headers.get(name) for name in ("X-Bapi-Limit", "x-long", "X-None")] == ["60", "a b", None]


@pytest.mark.parametrize("value", ["a\r\nX-More: b", "a\nb"])
def test_header_with_a_line_break_is_not_sent(value: str) -> None:
    seen: list[bytes] = []
    with peer(lambda connection: seen.append(connection.recv(65536))) as url:
        transport = transport_to(url)
        with pytest.raises(ValueError, match="Invalid header value"):
            transport.get("/", "", {"X-BAPI-API-KEY": value})
        transport.close()
    assert not [request for request in seen if request]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://127.0.0.1", "127.0.0.1"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("https://api.example.test", "api.example.test"),
    ],
)
def test_host_header_is_the_host_of_the_base_url(url: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is sent over a pair of sockets, since the usual ports may be taken here."""
    ours, theirs = socket.socketpair()

    def connect(self: Any) -> None:
        self.sock, self.is_verified = ours, True

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 0))])
    for kind in ("HTTPConnection", "HTTPSConnection"):
        monkeypatch.setattr(f"urllib3.connection.{kind}.connect", connect)
    transport = transport_to(url)
    with ours, theirs:
        theirs.sendall(OK)
        assert transport.get("/v5/x", "", {}).body == b"{}"
        head = theirs.recv(65536).decode()
        transport.close()
    assert [line for line in head.split("\r\n") if line.lower().startswith("host")] == [f"Host: {host}"]


def test_answer_after_an_interim_answer_is_not_the_next_answer() -> None:
    """After 103 Early Hints, which `http.client` takes for the answer."""

    def play(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        if connection.recv(65536):
            connection.sendall(OK)

    with peer(play) as url:
        transport = transport_to(url, 5.0)
        assert [transport.get("/", "", {}).status for _ in range(2)] == [103, 103]
        transport.close()


def test_content_encoding_in_any_case_is_decoded() -> None:
    with peer(with_body(10, "gzip").replace(b"gzip", b"GZIP")) as url:
        assert ask(url).body == b" " * 10


def test_closed_kept_connection_is_replaced() -> None:
    exchange = Exchange()
    with SandboxServer(exchange) as server:
        transport = transport_to(server.base_url, 5.0)
        transport.get("/v5/market/time", "", {})
        server._listener.close_connections()
        assert transport.get("/v5/market/time", "", {}).status == 200
        transport.close()


def test_request_after_close_opens_a_new_connection() -> None:
    with SandboxServer(Exchange()) as server:
        transport = transport_to(server.base_url, 5.0)
        transport.get("/v5/market/time", "", {})
        transport.close()
        eventually(lambda: not server.open_connections)
        assert transport.get("/v5/market/time", "", {}).status == 200
        transport.close()


def test_answer_read_after_the_deadline_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock(monkeypatch)
    hang = faults.Hang()
    exchange = Exchange()
    exchange.fault = hang
    with SandboxServer(exchange) as server:
        transport = transport_to(server.base_url, 30.0)

        def stop_and_continue() -> None:
            clock.jump(60.0)
            hang.release()

        threading.Timer(0.2, stop_and_continue).start()
        with pytest.raises(BybitError) as failed:
            transport.get("/v5/market/time", "", {})
        transport.close()
    assert failed.value.reason == "timeout"


def test_response_has_the_time_of_its_arrival() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    with peer(OK) as url:
        assert before <= ask(url).received_at <= time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.mark.parametrize(
    "proxy", ["http://user:hunter2@host:notaport", "http://user:hun/ter2@127.0.0.1:1", "foo://user:hunter2@h:1"]
)
def test_error_does_not_show_the_password_of_a_proxy(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    failed = fails("https://exchange.invalid")
    assert failed.reason == "network"
    assert "hun" not in str(failed)


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """Certificates, made by the openssl command."""

    def __init__(self, directory: Path) -> None:
        require_real(shutil.which("openssl") is not None, "openssl (Debian)")
        self._directory = directory
        self.bundle = self.self_signed("ca", "basicConstraints=critical,CA:TRUE")

    def self_signed(self, name: str, extension: str) -> Path:
        key, made = self._directory / f"{name}.key", self._directory / f"{name}.pem"
        openssl("req", "-x509", *KEY, "-keyout", key, "-out", made, "-subj", f"/CN={name}", "-addext", extension)
        return with_key(made, key)

    def signed(self, name: str, names: str, days: int = 2) -> Path:
        key, wish, made = (self._directory / f"{name}.{end}" for end in ("key", "csr", "pem"))
        extension = f"subjectAltName={names}"
        openssl("req", "-new", *KEY, "-keyout", key, "-out", wish, "-subj", "/CN=exchange", "-addext", extension)
        authority = ("-CA", self.bundle, "-CAkey", self.bundle, "-copy_extensions", "copy")
        openssl("x509", "-req", "-in", wish, "-out", made, "-days", days, *authority)
        return with_key(made, key)


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def with_key(certificate: Path, key: Path) -> Path:
    certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
    return certificate


@contextmanager
def tls_exchange(certificate: Path) -> Iterator[SandboxServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with SandboxServer(Exchange(), ssl_context=context) as server:
        yield server


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def test_certificate_of_an_authority_in_the_bundle_is_trusted(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    with tls_exchange(authority.signed("good", "IP:127.0.0.1")) as server:
        assert ask(server.base_url).status == 200


@pytest.mark.parametrize(("names", "is_trusted"), [(f"DNS:{NAME}", True), ("DNS:other.test,IP:127.0.0.1", False)])
def test_certificate_of_a_named_host_is_checked_for_the_name(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, names: str, is_trusted: bool
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    with tls_exchange(authority.signed("named", names)) as server:
        url = resolves_to(monkeypatch, ("127.0.0.1", server.port)).replace("http:", "https:")
        if is_trusted:
            assert ask(url).status == 200
            assert server.exchange.requests[0].request.headers["host"] == f"{NAME}:{server.port}"
        else:
            assert "CERTIFICATE_VERIFY_FAILED" in str(fails(url))
            assert server.exchange.request_count == 0


def test_handshake_with_first_of_two_addresses_may_take_all_the_time_left(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.signed("named", f"DNS:{NAME}"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))

    def play(connection: socket.socket) -> None:
        time.sleep(1.5)
        with context.wrap_socket(connection, server_side=True) as client:
            client.recv(65536)
            client.sendall(OK)

    with peer(play) as url:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        assert ask(resolves_to(monkeypatch, address, address).replace("http:", "https:"), 2.5).status == 200


@contextmanager
def proxy(answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n", tls: ssl.SSLContext | None = None) -> Iterator[list[bytes]]:
    """A proxy that answers a CONNECT, passes bytes on, and is the one of the environment. Yields the CONNECTs."""
    seen: list[bytes] = []

    def play(connection: socket.socket) -> None:
        with tls.wrap_socket(connection, server_side=True) if tls else connection as client:
            seen.append(client.recv(65536))
            client.sendall(answer)
            host, _, port = seen[-1].split()[1].decode().rpartition(":")
            with socket.create_connection((host.strip("[]"), int(port))) as server:
                threading.Thread(target=pass_on, args=(server, client), daemon=True).start()
                pass_on(client, server)

    with peer(play) as url, pytest.MonkeyPatch.context() as environment:
        environment.delenv("NO_PROXY", raising=False)
        environment.delenv("no_proxy", raising=False)
        scheme = "https" if tls else "http"
        environment.setenv("HTTPS_PROXY", url.replace("http://127.0.0.1", f"{scheme}://user:hunter2@localhost"))
        yield seen


def pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("is_tls", [False, True])
def test_proxy_of_the_environment_carries_tls_to_the_exchange(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, is_tls: bool
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.signed("proxy", "DNS:localhost"))
    with (
        tls_exchange(authority.signed("good", "IP:127.0.0.1")) as server,
        proxy(tls=context if is_tls else None) as connects,
    ):
        transport = transport_to(server.base_url, 5.0)
        assert [transport.get("/v5/market/time", "", {}).status for _ in range(2)] == [200, 200]
        transport.close()
    (head,) = connects
    assert head.startswith(b"CONNECT 127.0.0.1:%d " % server.port)
    assert b"Proxy-Authorization: Basic dXNlcjpodW50ZXIy" in head


def test_proxy_that_drips_its_answer_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    with peer(drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")) as url:
        monkeypatch.setenv("HTTPS_PROXY", url)
        started = time.monotonic()
        assert fails("https://exchange.invalid", TIMEOUT).reason == "timeout"
        assert time.monotonic() - started < TIMEOUT + SLACK


@pytest.mark.parametrize("case", ["another host", "expired", "self-signed"])
def test_untrusted_certificate_is_refused_before_anything_is_sent(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    certificate = {
        "another host": lambda: authority.signed("other", "DNS:exchange.invalid,IP:127.0.0.9"),
        "expired": lambda: authority.signed("expired", "IP:127.0.0.1", days=-1),
        "self-signed": lambda: authority.self_signed("itself", "subjectAltName=IP:127.0.0.1"),
    }[case]()
    with tls_exchange(certificate) as server:
        failed = fails(server.base_url)
        assert failed.reason == "network"
        assert "CERTIFICATE_VERIFY_FAILED" in str(failed)
        assert server.exchange.request_count == 0


def test_certificate_of_an_unknown_authority_is_refused(authority: Authority) -> None:
    with tls_exchange(authority.signed("unknown", "IP:127.0.0.1")) as server:
        assert fails(server.base_url).reason == "network"
        assert server.exchange.request_count == 0


def test_bundle_that_does_not_exist_is_a_network_failure(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")
    with tls_exchange(authority.signed("good", "IP:127.0.0.1")) as server:
        failed = fails(server.base_url)
    assert failed.reason == "network"
    assert "/nowhere/bundle.pem" in str(failed)


def test_plain_http_on_the_tls_port_is_a_network_failure() -> None:
    with SandboxServer(Exchange()) as server:
        assert fails(server.base_url.replace("http://", "https://")).reason == "network"
