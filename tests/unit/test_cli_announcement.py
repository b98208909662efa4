"""What the log says of the address that the exporter listens on. Nothing listens here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from bybit_exporter import cli
from bybit_exporter.web.server import web_config
from tests.certificates import FIXTURES

OPEN = "whoever reaches this address can read every balance: no password or client certificate is asked"
CLEAR = "whoever can listen on the network can read every balance, and a password: there is no TLS"


def announce(address: str, file: str) -> list[Any]:
    listener: Any = SimpleNamespace(getsockname=lambda: (address, 9836, 0, 0))
    with capture_logs() as logs:
        cli._announce(listener, web_config.load(FIXTURES / f"{file}.good.yml"))
    return logs


@pytest.mark.parametrize(
    ("file", "warnings"),
    [
        ("empty", [OPEN, CLEAR]),
        ("users", [CLEAR]),
        ("tls", [OPEN]),
        ("client_certificate_if_given", [OPEN]),
        ("client_certificate", []),
        ("everything", []),
    ],
)
@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "10.0.0.1"])
def test_beyond_loopback(address: str, file: str, warnings: list[str]) -> None:
    *logged, listening = announce(address, file)
    assert [event["event"] for event in logged] == warnings
    assert {event["log_level"] for event in logged} <= {"warning"}
    assert listening["event"] == "listening"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.1.2.3"])
@pytest.mark.parametrize("file", ["empty", "users"])
def test_on_loopback(address: str, file: str) -> None:
    assert [event["event"] for event in announce(address, file)] == ["listening"]


@pytest.mark.parametrize(
    ("address", "file", "url"),
    [
        ("127.0.0.1", "empty", "http://127.0.0.1:9836/"),
        ("::1", "tls", "https://[::1]:9836/"),
        ("0.0.0.0", "tls", "https://localhost:9836/"),
    ],
)
def test_the_url(address: str, file: str, url: str) -> None:
    assert announce(address, file)[-1]["url"] == url
