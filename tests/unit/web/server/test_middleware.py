"""The checks of every request and the headers of every answer, without a server."""

from __future__ import annotations

import asyncio
import base64
import threading
from typing import Any
from unittest.mock import patch

import pytest
from starlette.datastructures import Headers

from bybit_exporter.web.server import web_config
from bybit_exporter.web.server.middleware import AccessMiddleware, is_local_name
from bybit_exporter.web.server.reloader import WebConfigReloader
from bybit_exporter.web.server.web_config import RateLimit, WebConfig
from tests.certificates import FIXTURES
from tests.support import FakeClock

USERS = web_config.load(FIXTURES / "users.good.yml")
ALICE = "Basic " + base64.b64encode(b"alice:wonderland").decode()


async def application(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-security-policy", b"default-src 'self'")] if scope["path"] == "/" else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"a balance"})


class Client:
    """Sends requests to the application behind the middleware."""

    def __init__(self, config: WebConfig, *, on_loopback: bool = False, clock: FakeClock | None = None) -> None:
        reloader = WebConfigReloader(None, config, clock or FakeClock())
        loopback_addresses = {("127.0.0.1", 9836)} if on_loopback else set()
        self.middleware = AccessMiddleware(application, reloader, loopback_addresses)

    def ask(self, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[int, Headers, bytes]:
        raw = [(name.replace("_", "-").lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        scope = {"type": "http", "path": path, "method": method, "headers": raw, "client": ("192.0.2.1", 1)}
        scope |= {"server": ("127.0.0.1", 9836), "raw_path": path.encode()}
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        asyncio.run(self.middleware(scope, None, send))  # type: ignore[arg-type]
        return sent[0]["status"], Headers(raw=sent[0]["headers"]), sent[1]["body"]

    def status(self, *args: str, **headers: str) -> int:
        return self.ask(*args, **headers)[0]


REFUSED = ["", "Basic", "Basic !", ALICE[:-4], ALICE.replace("Basic", "Bearer"), "Basic " + "A" * 8000]
PATHS = [
    "/",
    "/metrics",
    "/-/reload",
    "/-/documentation",
    "/-/runbooks",
    "/nothing",
    "/-/healthy/",
    "/-/healthy?",
    "//-/healthy",
    "*",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "BREW"])
def test_request_without_a_password_is_refused(path: str, method: str) -> None:
    client = Client(USERS)
    assert client.status(path, method, Authorization=ALICE) == 200
    for authorization in REFUSED:
        assert client.status(path, method, Authorization=authorization) == 401
    assert client.status(path, method) == 401


def test_correct_password_that_cannot_be_checked_is_answered_503() -> None:
    with patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread")):
        status, headers, body = Client(USERS).ask(Authorization=ALICE)
    assert (status, headers["Retry-After"], body) == (503, "1", b"Service Unavailable\n")
    assert "WWW-Authenticate" not in headers


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
def test_probe_needs_no_password(path: str) -> None:
    client = Client(USERS)
    assert client.status(path, "GET") == 200
    assert client.status(path, "HEAD") == 200
    assert client.status(path, "POST") == 401
    assert client.status(path, "DELETE") == 401


def test_answer_401_is_the_same_for_every_path() -> None:
    answers = {
        (status, tuple(sorted(headers.items())), body)
        for path in PATHS
        for status, headers, body in [Client(USERS).ask(path)]
    }
    ((status, headers, body),) = answers
    assert status == 401
    assert dict(headers)["www-authenticate"].startswith("Basic ")
    assert b"bybit" not in body + repr(headers).encode()


def test_every_answer_has_the_default_headers() -> None:
    for path, headers in (("/", {}), ("/metrics", {}), ("/metrics", {"Authorization": ALICE})):
        _, given, _ = Client(USERS).ask(path, **headers)
        assert given["Cache-Control"] == "no-store"
        assert given["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in given["Content-Security-Policy"]
        assert "Server" not in given
    _, given, _ = Client(USERS).ask("/", Authorization=ALICE)
    assert given.getlist("Content-Security-Policy") == ["default-src 'self'"], "the header of the page itself is kept"


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy"])
def test_headers_of_the_configuration_replace_others(path: str) -> None:
    config = web_config.load(FIXTURES / "headers.good.yml")
    _, given, _ = Client(config).ask(path)
    for name, value in config.headers.items():
        assert given.getlist(name) == [value]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Length": "1"}, 413),
        ({"Content_Length": "99999999999"}, 413),
        ({"Transfer_Encoding": "chunked"}, 413),
        ({"Content_Length": "0"}, 200),
        ({}, 200),
    ],
)
def test_request_with_a_body_is_refused(headers: dict[str, str], status: int) -> None:
    got, answer, _ = Client(WebConfig()).ask("/-/reload", "POST", **headers)
    assert got == status
    assert ("close" in answer.get("Connection", "")) == (status == 413)


def test_requests_over_the_rate_limit_are_refused() -> None:
    clock = FakeClock()
    client = Client(WebConfig(rate_limit=RateLimit(2.0, 3)), clock=clock)
    assert [client.status() for _ in range(5)] == [200, 200, 200, 429, 429]
    assert client.status("/-/healthy") == 200, "a probe that fails has the container restarted"
    clock.now += 1.9
    assert client.status() == 429
    clock.now += 0.2
    assert [client.status() for _ in range(2)] == [200, 429]
    clock.now += 3600
    assert [client.status() for _ in range(4)] == [200, 200, 200, 429]


def test_rate_limit_with_burst_0_refuses_every_request() -> None:
    assert Client(WebConfig(rate_limit=RateLimit(1.0, 0))).status() == 429


LOCAL = ["127.0.0.1:9836", "127.0.0.1", "[::1]:9836", "[::1]", "localhost", "LOCALHOST:9836", "localhost.", "10.1.2.3"]
FOREIGN = ["evil.example", "evil.example:9836", "localhost.evil.example", "127.0.0.1.evil.example", "a:b:c", "[x]:1"]


@pytest.mark.parametrize("host", [*LOCAL, "exporter.localhost", "", "exporter", "trader-1:80"])
def test_local_host_name_is_accepted(host: str) -> None:
    assert is_local_name(host)
    assert Client(WebConfig(), on_loopback=True).status(Host=host) == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_foreign_host_name_on_loopback_is_refused(host: str) -> None:
    assert Client(WebConfig(), on_loopback=True).status("/metrics", Host=host) == 421
    assert Client(WebConfig(), on_loopback=True).status("/-/reload", "POST", Host=host) == 421
    assert Client(WebConfig(), on_loopback=True).status("/-/healthy", Host=host) == 200
    assert Client(WebConfig(), on_loopback=False).status(Host=host) == 200, "it has any name there"


@pytest.mark.parametrize("host", [*LOCAL, *FOREIGN])
def test_authority_of_an_absolute_url_counts_instead_of_the_host_header(host: str) -> None:
    client = Client(WebConfig(), on_loopback=True)
    status = 200 if host in LOCAL else 421
    for other in ("localhost", "evil.example"):
        assert client.status(f"http://{host}/metrics", Host=other) == status
        assert client.status(f"HTTPS://{host}", Host=other) == status


def test_absolute_url_is_replaced_by_its_path() -> None:
    assert Client(WebConfig()).ask("http://127.0.0.1:9836")[1]["Content-Security-Policy"] == "default-src 'self'"
    assert Client(USERS).status("http://127.0.0.1:9836/metrics") == 401
    assert Client(USERS).status("http://127.0.0.1:9836/-/healthy") == 200


def test_foreign_host_name_with_a_password_is_accepted() -> None:
    client = Client(USERS, on_loopback=True)
    assert client.status(Host="exporter.example", Authorization=ALICE) == 200
    assert client.status(Host="exporter.example") == 401


def test_host_name_of_this_machine_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Trader1.desk.example")
    assert is_local_name("trader1.desk.example:9836")
    assert not is_local_name("trader2.desk.example:9836")
