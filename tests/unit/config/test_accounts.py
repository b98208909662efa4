"""The entries of `accounts`. Wrong ones: test_broken_configurations.py."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_exporter.config.accounts import is_coin_name
from tests.unit.config.loading import load, only_account

SECRETS = "api_key: k\napi_secret: s\n"


@pytest.mark.parametrize(
    "coin", ["BTC", "1INCH", "1000PEPE", "A.B_C-D", "$TRUMP", "币安人生", "ПРИВЕТ", "Ω", "\U0001f680"]
)
def test_coin_in_any_script_is_read(tmp_path: Path, coin: str) -> None:
    assert only_account(tmp_path, f"{SECRETS}coins: ['{coin}']").coins == (coin,)


@pytest.mark.parametrize(
    "coin",
    [
        *("", "eth", "bTC", "привет", "ß", "\u00aa"),
        *("A B", "A,B", "A\n", "A\x00", "A\x7f", "A\x85", "A\u00a0", "A\u2028"),
        *("\ufeffA", "A\u200b", "A\u202eB", "A\ud800"),
    ],
)
def test_coin_with_a_lower_case_letter_blank_comma_or_invisible_character_is_refused(coin: str) -> None:
    assert not is_coin_name(coin)


@given(st.text())
def test_coin_name_that_is_accepted_has_no_lower_case_letter_blank_or_comma_and_can_be_encoded(text: str) -> None:
    if is_coin_name(text):
        assert not any(character.islower() or character.isspace() or character == "," for character in text)
        assert text.encode()


@pytest.mark.parametrize("account_type", ["SPOT", "UNIFIED", "FUND", "auto"])
@pytest.mark.parametrize(("word", "products"), [("true", True), ("false", False), ("yes", True)])
def test_products_are_read_for_every_account_type(tmp_path: Path, account_type: str, word: str, products: bool) -> None:
    text = f"accounts: [{{name: a, account_type: {account_type}, api_key: k, api_secret: s, products: {word}}}]"
    assert load(tmp_path, text).accounts[0].products is products


def test_products_are_not_read_by_default(tmp_path: Path) -> None:
    assert only_account(tmp_path, SECRETS).products is False


@pytest.mark.parametrize(
    ("value", "subaccounts", "balances"),
    [("true", True, False), ("false", False, False), ("{}", True, False), ("{balances: FUND}", True, True)],
)
def test_subaccounts_are_true_or_false_or_a_mapping(
    tmp_path: Path, value: str, subaccounts: bool, balances: bool
) -> None:
    account = only_account(tmp_path, f"{SECRETS}subaccounts: {value}")
    assert (account.subaccounts, account.subaccount_balances) == (subaccounts, balances)


ACCOUNTS = """
accounts:
  - {name: a, account_type: UNIFIED, api_key: k, api_secret: s}
  - {name: b, account_type: FUND, api_key: k2, api_secret: s, subaccounts: {balances: FUND}}
  - {name: c, account_type: auto, api_key: k3, api_secret: s, products: true}
"""
IN_DEMO = [
    "accounts[1].account_type: demo trading has no funding wallet and no withdrawals",
    "accounts[1].subaccounts: demo trading has no subaccounts",
    "accounts[2].products: demo trading has no products outside the wallets",
]


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        ("environment: demo", IN_DEMO),
        ("base_url: 'https://api-demo.bybit.com'", IN_DEMO),
        ("base_url: 'https://api-demo-testnet.bybit.com:443/'", IN_DEMO),
        ("environment: testnet", []),
        ("base_url: 'https://api.bybit.kz'", []),
        ("timeout: 10s", []),
    ],
)
def test_demo_trading_warns_of_what_it_does_not_have(tmp_path: Path, api: str, expected: list[str]) -> None:
    file = tmp_path / "config.yaml"
    warnings = load(tmp_path, textwrap.dedent(f"api: {{{api}}}\n{ACCOUNTS}")).warnings
    assert [each.removeprefix(f"{file}: ") for each in warnings if ".yaml: " in each] == expected
