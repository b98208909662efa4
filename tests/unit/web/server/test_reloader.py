"""Changed web configurations are applied. Half-written, broken and weaker ones are not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bybit_exporter.web.server import tls, web_config
from bybit_exporter.web.server.reloader import WebConfigReloader
from tests.certificates import FIXTURES

CLIENTS = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"
SANS = "  client_allowed_sans: [prometheus.example]\n"
TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
USERS = (FIXTURES / "users.good.yml").read_text()
ALICE = "\n".join(USERS.splitlines()[:2]) + "\n"


class Site:
    """A web configuration on disk, with its reloader."""

    def __init__(self, directory: Path, text: str) -> None:
        self.directory = directory
        self.path = directory / "web.yml"
        for name in ("server.crt", "server.key", "ca.crt"):
            shutil.copy(FIXTURES / name, directory / name)
            (directory / name).chmod(0o600)
        self.write(text)
        self.reloader = WebConfigReloader(str(self.path), web_config.load(self.path))
        self.logs: list[Any] = []

    def write(self, text: str) -> None:
        self.path.write_text(text)
        self.path.chmod(0o600)

    def replace(self, name: str, by: str) -> None:
        """Replaces a file atomically, as programs that renew certificates do."""
        shutil.copy(FIXTURES / by, self.directory / "new")
        (self.directory / "new").chmod(0o600)
        (self.directory / "new").replace(self.directory / name)

    def pass_seconds(self, count: int = 3) -> list[Any]:
        with capture_logs() as logs:
            for _ in range(count):
                self.reloader.check_files()
        return logs

    @property
    def users(self) -> set[str]:
        return set(self.reloader.rules.config.users)


def test_unchanged_files_keep_the_rules(tmp_path: Path) -> None:
    site = Site(tmp_path, TLS + USERS)
    before = site.reloader.rules
    assert site.pass_seconds() == []
    os.utime(site.path)
    assert site.pass_seconds() == []
    assert site.reloader.rules is before


def test_changed_users_are_applied_and_old_passwords_forgotten(tmp_path: Path) -> None:
    site = Site(tmp_path, USERS)
    before = site.reloader.rules
    site.write(ALICE)
    (event,) = site.pass_seconds()
    assert event["event"] == "web configuration reloaded"
    assert site.users == {"alice"}
    assert site.reloader.rules.verifier is not before.verifier


def test_other_change_keeps_remembered_passwords(tmp_path: Path) -> None:
    site = Site(tmp_path, USERS + "rate_limit: {interval: 1s, burst: 5}\n")
    before = site.reloader.rules
    site.write(USERS + "rate_limit: {interval: 1s, burst: 6}\n")
    site.pass_seconds()
    assert site.reloader.rules.verifier is before.verifier
    assert site.reloader.rules.rate_limiter is not before.rate_limiter
    before = site.reloader.rules
    site.write(ALICE + "rate_limit: {interval: 1s, burst: 6}\n")
    site.pass_seconds()
    assert site.reloader.rules.rate_limiter is before.rate_limiter, "the bucket is not filled anew"


def test_renewed_certificate_is_applied(tmp_path: Path) -> None:
    site = Site(tmp_path, TLS)
    before = site.reloader.rules
    site.replace("server.crt", "renewed.crt")
    site.replace("server.key", "renewed.key")
    (event,) = site.pass_seconds()
    assert event["certificate_expires"].startswith("21")
    assert site.reloader.rules.config.context is not before.config.context
    assert site.reloader.rules.config.tls != before.config.tls


def test_changed_authority_is_applied(tmp_path: Path) -> None:
    site = Site(tmp_path, TLS + CLIENTS)
    site.replace("ca.crt", "foreign_ca.crt")
    site.pass_seconds()
    tls = site.reloader.rules.config.tls
    assert tls
    assert tls.client_certificates.ca == (FIXTURES / "foreign_ca.crt").read_text()


def test_certificate_without_its_new_key_is_not_applied(tmp_path: Path) -> None:
    site = Site(tmp_path, TLS)
    before = site.reloader.rules
    site.replace("server.crt", "renewed.crt")
    (event,) = site.pass_seconds(10)
    assert event["event"] == "the web configuration was not reloaded; the old one is still in use"
    assert "does not belong to the certificate" in event["error"]
    assert site.reloader.rules is before
    site.replace("server.key", "renewed.key")
    site.pass_seconds()
    assert site.reloader.rules is not before


def test_file_that_is_being_written_is_not_applied(tmp_path: Path) -> None:
    site = Site(tmp_path, USERS)
    for length in range(0, len(USERS), 20):
        site.write(USERS[:length])
        assert site.pass_seconds(1) == []
        assert site.users == {"alice", "bob", "carol"}


@pytest.mark.parametrize("text", ["basic_auth_users: {alice: wonderland}\n", "junk", "\0", "{", "unknown: 1\n"])
def test_broken_file_keeps_the_old_rules_and_is_logged_once(tmp_path: Path, text: str) -> None:
    site = Site(tmp_path, USERS)
    site.write(text)
    (event,) = site.pass_seconds(10)
    assert event["log_level"] == "error"
    assert "wonderland" not in event["error"]
    assert site.users == {"alice", "bob", "carol"}
    site.write(ALICE)
    assert [event["event"] for event in site.pass_seconds()] == ["web configuration reloaded"]


def test_removed_file_keeps_the_old_rules(tmp_path: Path) -> None:
    site = Site(tmp_path, USERS)
    site.path.unlink()
    assert len(site.pass_seconds(10)) == 1
    assert site.users == {"alice", "bob", "carol"}


def test_missing_file_is_applied_when_it_appears(tmp_path: Path) -> None:
    site = Site(tmp_path, TLS)
    site.write(TLS.replace("server.", "later."))
    site.pass_seconds()
    site.replace("later.crt", "renewed.crt")
    site.replace("later.key", "renewed.key")
    site.pass_seconds()
    tls = site.reloader.rules.config.tls
    assert tls
    assert tls.certificate == (FIXTURES / "renewed.crt").read_text()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (USERS, ""),
        (USERS, "basic_auth_users: {}\n"),
        (TLS + USERS, USERS),
        (USERS, TLS + USERS),
        (TLS + CLIENTS, TLS),
        (TLS + CLIENTS, TLS + CLIENTS.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")),
        (TLS + CLIENTS + SANS, TLS + CLIENTS),
    ],
)
def test_weaker_configuration_is_not_applied(tmp_path: Path, old: str, new: str) -> None:
    site = Site(tmp_path, old)
    before = site.reloader.rules
    site.write(new)
    (event,) = site.pass_seconds(10)
    assert event["error"].endswith("; restart the exporter to apply this")
    assert site.reloader.rules is before


@pytest.mark.parametrize(
    ("old", "new"), [(TLS, TLS + CLIENTS), (TLS + CLIENTS, TLS + CLIENTS + SANS), ("", USERS), (TLS, TLS + USERS)]
)
def test_stricter_configuration_is_applied(tmp_path: Path, old: str, new: str) -> None:
    site = Site(tmp_path, old)
    site.write(new)
    site.pass_seconds()
    assert site.reloader.rules.config == web_config.load(site.path)


def test_warnings_of_an_applied_configuration_are_logged(tmp_path: Path) -> None:
    site = Site(tmp_path, TLS)
    site.replace("server.crt", "expired.crt")
    site.replace("server.key", "expired.key")
    (tmp_path / "server.key").chmod(0o644)
    taken_up, readable, expired = site.pass_seconds()
    assert taken_up["log_level"] == "info"
    assert "server.key holds a secret" in readable["event"]
    assert "the certificate expired on" in expired["event"]


def test_file_that_was_replaced_while_the_exporter_started_is_applied(tmp_path: Path) -> None:
    site = Site(tmp_path, USERS)
    loaded = web_config.load(site.path)
    site.write(ALICE)
    site.reloader = WebConfigReloader(str(site.path), loaded)
    site.pass_seconds()
    assert site.users == {"alice"}


def check_once_a_second(site: Site, count: int = 3) -> list[Any]:
    with capture_logs() as logs:
        for _ in range(count):
            site.reloader.check()
    return logs


def test_unexpected_error_keeps_the_old_rules_and_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError("text of the error")

    site = Site(tmp_path, TLS)
    before = site.reloader.rules
    site.replace("server.crt", "renewed.crt")
    site.replace("server.key", "renewed.key")
    with monkeypatch.context() as patch:
        patch.setattr(tls, "_nameless_file", fail)
        (event,) = check_once_a_second(site, 10)
    assert event["event"] == "the web configuration was not reloaded; the old one is still in use"
    assert event["error"] == "the check of its files failed unexpectedly (OSError); it is repeated every second"
    assert site.reloader.rules is before
    assert [event["event"] for event in check_once_a_second(site)] == ["web configuration reloaded"]
