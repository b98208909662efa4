"""The image's HEALTHCHECK, asking real exporters."""

from __future__ import annotations

import signal
from pathlib import Path

import bcrypt
import pytest

from deploy.image import healthcheck
from tests.exporter_process import ROOT, ExporterProcess
from tests.support import free_port

CERTIFICATES = ROOT / "tests" / "web_config"
PASSWORD = f"basic_auth_users: {{prometheus: '{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}'}}\n"
TLS = f"tls_server_config:\n  cert_file: {CERTIFICATES}/server.crt\n  key_file: {CERTIFICATES}/server.key\n"
CLIENTS = f"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {CERTIFICATES}/ca.crt\n"


@pytest.fixture
def port() -> int:
    return free_port()


def check(exporter: ExporterProcess, monkeypatch: pytest.MonkeyPatch) -> int:
    """As if the exporter were process 1."""
    monkeypatch.setattr(healthcheck, "COMMAND_LINE", Path(f"/proc/{exporter.process.pid}/cmdline"))
    return healthcheck.main()


@pytest.mark.parametrize(
    "web_config",
    ["", PASSWORD, TLS, TLS + PASSWORD, TLS + "  max_version: TLS12\n", TLS + CLIENTS],
    ids=["open", "password", "tls", "tls and password", "tls 1.2", "client certificates"],
)
def test_a_running_exporter_is_healthy(
    web_config: str, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "web.yml").write_text(web_config)
    flags = ["--demo", f"--web.config.file={tmp_path / 'web.yml'}", f"--web.listen-address=:{port}"]
    with ExporterProcess("", tmp_path, flags) as exporter:
        assert check(exporter, monkeypatch) == 0


def test_one_that_hangs_is_not(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healthcheck, "TIMEOUT_SECONDS", 0.5)
    with ExporterProcess("", tmp_path, ["--demo", f"--web.listen-address=127.0.0.1:{port}"]) as exporter:
        exporter.send(signal.SIGSTOP)
        assert check(exporter, monkeypatch) == 1


def test_one_that_listens_elsewhere_or_nowhere_is_not(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command_line = tmp_path / "cmdline"
    command_line.write_text(f"bybit-exporter\0--web.listen-address=:{port}\0")
    monkeypatch.setattr(healthcheck, "COMMAND_LINE", command_line)
    assert healthcheck.main() == 1


def test_another_server_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It must be the status that decides, not that somebody answers."""
    from bybit_exporter.sandbox import Exchange, SandboxServer

    with SandboxServer(Exchange()) as server:
        command_line = tmp_path / "cmdline"
        command_line.write_text(f"bybit-exporter\0--web.listen-address={server.base_url.removeprefix('http://')}\0")
        monkeypatch.setattr(healthcheck, "COMMAND_LINE", command_line)
        assert healthcheck.main() == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["python", "bybit-exporter", "--web.listen-address=:9836"], ("127.0.0.1", 9836)),
        (["bybit-exporter", "--web.listen-address=:9836", "--web.listen-address", "[::1]:1"], ("::1", 1)),
        (["init", "--", "bybit-exporter", "--web.listen-address=:3", "--demo"], ("127.0.0.1", 3)),
        (["bybit-exporter", "--web.listen-address=0.0.0.0:2", ""], ("0.0.0.0", 2)),
        (["bybit-exporter", "--demo"], ("127.0.0.1", 9836)),
    ],
)
def test_it_asks_where_the_flags_say(arguments: list[str], expected: tuple[str, int]) -> None:
    assert healthcheck.listen_address(arguments) == expected
