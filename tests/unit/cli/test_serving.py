"""What the log says about the address that the exporter listens on, without a real listener."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from bybit_exporter.cli.serving import WITHOUT_AUTHENTICATION, WITHOUT_TLS, announce
from bybit_exporter.web.server import web_config
from tests.certificates import FIXTURES


def events_for(address: str, file: str) -> list[Any]:
    listener: Any = SimpleNamespace(getsockname=lambda: (address, 9836, 0, 0))
    with capture_logs() as logs:
        announce(listener, web_config.load(FIXTURES / f"{file}.good.yml"))
    return logs


@pytest.mark.parametrize(
    ("file", "warnings"),
    [
        ("empty", [WITHOUT_AUTHENTICATION, WITHOUT_TLS]),
        ("users", [WITHOUT_TLS]),
        ("tls", [WITHOUT_AUTHENTICATION]),
        ("client_certificate_if_given", [WITHOUT_AUTHENTICATION]),
        ("client_certificate", []),
        ("everything", []),
    ],
)
@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "10.0.0.1"])
def test_announce_beyond_loopback_warns_of_what_is_missing(address: str, file: str, warnings: list[str]) -> None:
    *logged, listening = events_for(address, file)
    assert [event["event"] for event in logged] == warnings
    assert {event["log_level"] for event in logged} <= {"warning"}
    assert listening["event"] == "listening"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.1.2.3"])
@pytest.mark.parametrize("file", ["empty", "users"])
def test_announce_on_loopback_warns_of_nothing(address: str, file: str) -> None:
    assert [event["event"] for event in events_for(address, file)] == ["listening"]


@pytest.mark.parametrize(
    ("address", "file", "url"),
    [
        ("127.0.0.1", "empty", "http://127.0.0.1:9836/"),
        ("::1", "tls", "https://[::1]:9836/"),
        ("0.0.0.0", "tls", "https://localhost:9836/"),
    ],
)
def test_announce_logs_url_that_can_be_opened(address: str, file: str, url: str) -> None:
    assert events_for(address, file)[-1]["url"] == url
