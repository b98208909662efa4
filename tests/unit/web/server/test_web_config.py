"""The web configuration file. Good and bad files are in tests/web_config, each bad one with its problems.

The cases are those of the exporter-toolkit's own test data; docs/security.md says where the verdict differs, and why.
"""

from __future__ import annotations

import ssl
import string
from pathlib import Path

import bcrypt
import pytest

from bybit_exporter.config.schema import ConfigError
from bybit_exporter.web.server import web_config
from bybit_exporter.web.server.web_config import RateLimit, WebConfig
from tests.certificates import FIXTURES

GOOD = sorted(path.name for path in FIXTURES.glob("*.good.yml"))
BAD = sorted(path.name for path in FIXTURES.glob("*.bad.yml"))


@pytest.fixture(autouse=True)
def in_fixtures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)


def load(name: str) -> WebConfig:
    return web_config.load(f"{name}.good.yml")


def problems(path: Path | str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        web_config.load(path)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


def test_good_and_bad_files_exist() -> None:
    assert len(GOOD) >= 20
    assert len(BAD) >= 40


@pytest.mark.parametrize("name", GOOD)
def test_good_file_is_read_without_problems(name: str) -> None:
    web_config.load(name)


@pytest.mark.parametrize("name", BAD)
def test_bad_file_has_exactly_its_problems(name: str) -> None:
    lines = Path(name).read_text().splitlines()
    expected = [line.removeprefix("# problem: ") for line in lines if line.startswith("# problem: ")]
    assert expected
    assert [problem.replace(str(FIXTURES), "{directory}") for problem in problems(name)] == expected


def test_missing_file_is_one_problem() -> None:
    assert problems("none.yml") == ["cannot be read: No such file or directory"]


@pytest.mark.parametrize("name", ["empty", "tls_empty", "users_none", "rate_limit_off", "headers_blank"])
def test_empty_file_is_plain_http_without_passwords(name: str) -> None:
    config = load(name)
    assert config == WebConfig()
    assert not config.requires_authentication


def test_every_setting_is_read() -> None:
    config = load("everything")
    assert config.tls is not None
    assert config.context is not None
    assert set(config.users) == {"alice", "bob", "carol"}
    assert config.rate_limit == RateLimit(1.0, 20)
    assert config.requires_authentication
    assert config.files == tuple(Path(name) for name in ("everything.good.yml", "server.crt", "server.key"))


def test_path_is_relative_to_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert web_config.load(FIXTURES / "tls.good.yml").tls
    assert web_config.load(FIXTURES / "tls.good.yml").files[1] == FIXTURES / "server.crt"


def test_defaults_of_tls() -> None:
    config = load("tls")
    assert config.tls
    assert config.context
    assert config.context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert config.context.maximum_version == ssl.TLSVersion.TLSv1_3
    assert config.context.verify_mode == ssl.CERT_NONE
    assert config.context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    assert not config.requires_authentication


def test_cipher_suites_of_tls_12_are_the_configured_ones() -> None:
    context = load("some_ciphers").context
    assert context
    names = [cipher["name"] for cipher in context.get_ciphers() if not cipher["name"].startswith("TLS_")]
    assert names == ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"]


def test_cipher_preference_of_the_client_is_respected() -> None:
    context = load("client_chooses_cipher").context
    assert context
    assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE


@pytest.mark.parametrize(
    ("name", "verify", "private"),
    [
        ("no_client_certificate", ssl.CERT_NONE, False),
        ("client_certificate_if_given", ssl.CERT_OPTIONAL, False),
        ("client_certificate", ssl.CERT_REQUIRED, True),
        ("client_sans", ssl.CERT_REQUIRED, True),
        ("inline", ssl.CERT_REQUIRED, True),
    ],
)
def test_authentication_is_required_by_users_or_certificates(name: str, verify: ssl.VerifyMode, private: bool) -> None:
    config = load(name)
    assert config.context
    assert config.context.verify_mode == verify
    assert config.requires_authentication == private


def test_headers_are_read() -> None:
    assert load("headers").headers == {
        "Content-Security-Policy": "default-src 'self' *.example.com",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "deny",
        "X-XSS-Protection": "1",
    }


def test_rate_limit_with_burst_0_is_applied_with_a_warning() -> None:
    config = load("rate_limit_nobody")
    assert config.rate_limit == RateLimit(1.0, 0)
    assert config.warnings == ("rate_limit_nobody.good.yml: rate_limit.burst: is 0, so every request will be refused",)


def test_expired_certificate_is_a_problem() -> None:
    assert load("tls").expiry_problems == []
    (expired,) = load("server_certificate_expired").expiry_problems
    assert expired.startswith("server_certificate_expired.good.yml: tls_server_config: the certificate expired on 20")


def test_world_readable_secret_is_a_warning(tmp_path: Path) -> None:
    web, key = tmp_path / "web.yml", tmp_path / "server.key"
    key.write_text(Path("server.key").read_text())
    web.write_text(f"tls_server_config:\n  cert_file: {FIXTURES}/server.crt\n  key_file: server.key\n")
    key.chmod(0o640)
    web.chmod(0o644)
    assert web_config.load(web).warnings == ()
    key.chmod(0o644)
    (warning,) = web_config.load(web).warnings
    assert warning.startswith(f"{key} holds a secret, and every user of this machine can read it")
    key.chmod(0o600)
    with web.open("a") as file:
        file.write(Path("users.good.yml").read_text())
    (warning,) = web_config.load(web).warnings
    assert warning.startswith(f"{web} holds a secret")


def test_repr_shows_no_secret() -> None:
    config = load("everything")
    shown = repr(config) + str(config)
    assert "$2" not in shown
    assert "PRIVATE" not in shown
    assert "doe" not in "".join(problems("users_not_hashed.bad.yml"))


@pytest.mark.parametrize("separator", [":", "=", " ", "$"])
def test_password_in_a_user_name_is_not_quoted(tmp_path: Path, separator: str) -> None:
    web = tmp_path / "web.yml"
    web.write_text(f"basic_auth_users: {{admin{separator}hunter2}}\n")
    (problem,) = problems(web)
    assert problem.startswith('basic_auth_users["admin…"]: is not a')


def test_secret_as_a_user_name_is_not_quoted(tmp_path: Path) -> None:
    web = tmp_path / "web.yml"
    web.write_text("basic_auth_users: {G3YewRpOVcj5O4xhkHZR}\n")
    (problem,) = problems(web)
    assert problem.startswith('basic_auth_users["…"]: is not a')


@pytest.mark.parametrize(("position", "allowed"), [(22, ".Oeu"), (53, ".CGKOSWaeimquy26")])
def test_hash_that_bcrypt_cannot_have_made_is_refused(tmp_path: Path, position: int, allowed: str) -> None:
    """bcrypt writes 16 and 23 bytes in groups of 6 bits, so some bits of each part's last character are zero."""
    salt = bcrypt.gensalt(4)
    web = tmp_path / "web.yml"
    for character in "./" + string.ascii_letters + string.digits:
        hashed = bcrypt.hashpw(b"x", salt).decode()
        index = len("$2b$04$") + position - 1
        web.write_text(f"basic_auth_users:\n  john: {hashed[:index]}{character}{hashed[index + 1 :]}\n")
        if character in allowed:
            web_config.load(web)
        else:
            (problem,) = problems(web)
            assert problem.startswith('basic_auth_users["john"]: is not a bcrypt hash')
