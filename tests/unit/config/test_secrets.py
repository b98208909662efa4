"""Keys and secrets. Wrong ones: test_broken_configurations.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.config.loading import BYBIT, only_account, problems


@pytest.mark.parametrize(
    ("content", "secret"),
    [("abc", "abc"), ("abc\n", "abc"), ("abc\r\n", "abc"), ("\ufeffabc\n", "abc"), ("a!~b", "a!~b")],
)
def test_secret_file_loses_its_trailing_newline(tmp_path: Path, content: str, secret: str) -> None:
    (tmp_path / "secret").write_bytes(content.encode())
    account = only_account(tmp_path, "api_key: k\napi_secret_file: secret")
    assert account.api_secret.reveal() == secret


@pytest.mark.parametrize("content", ["", "\n", "abc\n\n", "abc def", " abc", "abc\x00", "äbc", "abc\ndef\n"])
def test_secret_file_with_anything_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "secret").write_text(content)
    text = "accounts: [{name: a, account_type: SPOT, api_key: k, api_secret_file: secret}]"
    (problem,) = problems(tmp_path, text)
    assert problem.startswith("accounts[0].api_secret_file: ")
    assert "abc" not in problem


def test_path_is_relative_to_the_configuration_file(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "key").write_text("relative")
    (elsewhere / "secret").write_text("absolute")
    monkeypatch.chdir(elsewhere)
    account = only_account(tmp_path, f"api_key_file: keys/key\napi_secret_file: {elsewhere}/secret")
    assert (account.api_key.reveal(), account.api_secret.reveal()) == ("relative", "absolute")


def test_secret_is_read_from_the_named_variable(tmp_path: Path) -> None:
    account = only_account(tmp_path, "api_key_env: K\napi_secret_env: S", {"K": "key", "S": "secret"})
    assert (account.api_key.reveal(), account.api_secret.reveal()) == ("key", "secret")


def test_single_account_without_secrets_reads_the_default_variables(tmp_path: Path) -> None:
    account = only_account(tmp_path, "", BYBIT)
    assert (account.api_key.reveal(), account.api_secret.reveal()) == ("key", "secret")


def test_secret_in_the_file_goes_before_the_default_variables(tmp_path: Path) -> None:
    account = only_account(tmp_path, "api_key: k\napi_secret: s", BYBIT)
    assert (account.api_key.reveal(), account.api_secret.reveal()) == ("k", "s")


def test_default_variables_are_not_read_for_several_accounts(tmp_path: Path) -> None:
    text = "accounts: [{name: a, account_type: SPOT}, {name: b, account_type: SPOT}]"
    ways = "missing; give one of api_{0}, api_{0}_file, api_{0}_env"
    assert problems(tmp_path, text, BYBIT) == [
        f"accounts[{index}].api_{kind}: {ways.format(kind)}" for index in (0, 1) for kind in ("key", "secret")
    ]


@pytest.mark.parametrize("secret", ["a$b", "$", "it's", '"x', "a'b'c", "{x}", "50%"])
def test_secret_with_a_dollar_sign_or_a_quote_inside_is_read(tmp_path: Path, secret: str) -> None:
    account = only_account(tmp_path, "api_key_env: K\napi_secret_env: K", {"K": secret})
    assert account.api_key.reveal() == secret
