"""Addresses to listen on."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_exporter.web.server.listen import bind, parse_address
from tests.support import require_real


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9836", ("127.0.0.1", 9836)),
        (":9836", ("", 9836)),
        ("[::1]:9836", ("::1", 9836)),
        ("[::]:0", ("::", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("host-1.example_2.com:1", ("host-1.example_2.com", 1)),
    ],
)
def test_address_is_parsed(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


NO_ADDRESSES = [
    "",
    "9836",
    "127.0.0.1",
    "127.0.0.1:",
    ":",
    ":x",
    ":-1",
    ":65536",
    ":\u0663",
    "::1:9836",
    "[::1]",
    "[]:80",
]
NO_ADDRESSES += ["[::1:80", "a]b:80", " :80", "a b:80", "http://127.0.0.1:80", "a..b:80", "[host]:80"]
NO_ADDRESSES += ["x" * 64 + ":80", ":" + "9" * 5000]


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_text_that_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not host:port, :port or "):
        parse_address(text)


@given(st.text())
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        _, port = parse_address(text)
    except ValueError:
        return
    assert 0 <= port <= 65535


def connects(address: str, port: int) -> bool:
    with socket.create_connection((address, port), timeout=5):
        return True


def test_loopback_listener_is_reachable_on_loopback_only() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        assert connects("127.0.0.1", listener.getsockname()[1])


def test_listener_without_a_host_accepts_ipv6_and_ipv4() -> None:
    require_real(socket.has_dualstack_ipv6(), "IPv6")
    with bind("", 0) as listener:
        port = listener.getsockname()[1]
        assert connects("127.0.0.1", port)
        assert connects("::1", port)


def test_listener_without_a_host_and_ipv6_accepts_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with bind("", 0) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"


def test_listener_on_ipv6_loopback_accepts_ipv6() -> None:
    require_real(socket.has_dualstack_ipv6(), "IPv6")
    with bind("::1", 0) as listener:
        assert connects("::1", listener.getsockname()[1])


def test_address_in_use_is_refused() -> None:
    with bind("127.0.0.1", 0) as listener, pytest.raises(OSError, match="in use"):
        bind("127.0.0.1", listener.getsockname()[1])
