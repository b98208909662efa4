"""Requests go out from the configured address of this machine, or not at all; on real sockets."""

from __future__ import annotations

import dataclasses
import socket
import ssl

import pytest

from bybit_exporter.bybit.errors import BybitError
from bybit_exporter.bybit.transport import Transport
from bybit_exporter.sandbox import Exchange, SandboxServer
from tests.certificates import CA, FIXTURES
from tests.in_process import Running
from tests.support import eventually

LOCAL = "127.0.0.2"
NOT_OURS = "192.0.2.1"
"""https://www.rfc-editor.org/rfc/rfc5737: no machine has it."""


def ask(url: str, source: str | None) -> None:
    transport = Transport(url, timeout_seconds=5.0, connections=1, source_address=source)
    try:
        transport.get("/v5/market/time", "", {})
    finally:
        transport.close()


def fails(url: str, source: str) -> BybitError:
    with pytest.raises(BybitError) as failed:
        ask(url, source)
    return failed.value


@pytest.mark.parametrize(("source", "seen"), [(None, "127.0.0.1"), (LOCAL, LOCAL), ("127.9.8.7", "127.9.8.7")])
def test_request_comes_from_the_source_address(source: str | None, seen: str) -> None:
    with SandboxServer(Exchange()) as server:
        ask(server.base_url, source)
        assert [recorded.request.source for recorded in server.exchange.requests] == [seen]


def test_tls_request_comes_from_the_source_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CA))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FIXTURES / "server.crt", FIXTURES / "server.key")
    with SandboxServer(Exchange(), ssl_context=context) as server:
        ask(server.base_url, LOCAL)
        assert [recorded.request.source for recorded in server.exchange.requests] == [LOCAL]


def test_proxy_connection_comes_from_the_source_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        transport = Transport("https://exchange.invalid", timeout_seconds=0.2, connections=1, source_address=LOCAL)
        with pytest.raises(BybitError):
            transport.get("/", "", {})
        connection, (host, _) = proxy.accept()
        connection.close()
        assert host == LOCAL


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
def test_ipv6_request_comes_from_the_source_address() -> None:
    with SandboxServer(Exchange(), "::1") as server:
        ask(server.base_url, "::1")
        assert [recorded.request.source for recorded in server.exchange.requests] == ["::1"]
        failed = fails(server.base_url, LOCAL)
    assert str(failed) == f'OSError: "::1 has no address that api.source_address {LOCAL} reaches"'


def test_source_address_of_the_other_family_is_a_network_failure() -> None:
    with SandboxServer(Exchange()) as server:
        failed = fails(server.base_url, "::1")
        assert failed.reason == "network"
        assert str(failed) == 'OSError: "127.0.0.1 has no address that api.source_address ::1 reaches"'
        assert server.accepted_connections == 0


def test_addresses_of_the_other_family_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with SandboxServer(Exchange()) as server:
        six = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", server.port, 0, 0))
        four = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [six, four])
        ask(f"http://localhost:{server.port}", LOCAL)
        assert [recorded.request.source for recorded in server.exchange.requests] == [LOCAL]


def test_source_address_that_this_machine_lacks_is_a_network_failure() -> None:
    with SandboxServer(Exchange()) as server:
        failed = fails(server.base_url, NOT_OURS)
        assert failed.reason == "network"
        assert str(failed) == f'OSError: "api.source_address {NOT_OURS}: Cannot assign requested address"'
        assert server.accepted_connections == 0


def test_reload_changes_the_source_address() -> None:
    with Running() as running:
        running.wait_for(1.0, "bybit_up")
        api = dataclasses.replace(running.config.api, source_address=LOCAL)
        running.config = dataclasses.replace(running.config, api=api)
        running.service.reload()
        eventually(lambda: running.exchange.requests[-1].request.source == LOCAL)
        polls = running.value("bybit_polls_total") or 0
        eventually(lambda: (running.value("bybit_polls_total") or 0) >= polls + 2)
        assert running.failures("network") == 0
