"""Each account type reads its wallet with one request."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bybit_exporter.bybit.wallets import find_account_type, read_wallet
from bybit_exporter.model import Account, AccountType
from tests.builders import make_account
from tests.unit.bybit.fake_exchange import Exchange

FUND = {"balance": [{"coin": "BTC", "walletBalance": "3", "transferBalance": "1"}]}
UNIFIED = {"list": [{"coin": [{"coin": "BTC", "walletBalance": "3", "locked": "2", "equity": "3", "usdValue": "9"}]}]}
SPOT = {
    "spot": {
        "status": "ACCOUNT_STATUS_NORMAL",
        "assets": [{"coin": "BTC", "free": "1", "frozen": "2", "withdraw": ""}],
    }
}


def account(*coins: str) -> Account:
    return make_account(account_type=AccountType.AUTO, coins=coins or None)


@pytest.mark.parametrize("coins", [(), ("BTC",), ("BTC", "ETH", "SOL")])
@pytest.mark.parametrize(
    ("account_type", "result", "path"),
    [
        (AccountType.UNIFIED, UNIFIED, "/v5/account/wallet-balance"),
        (AccountType.FUND, FUND, "/v5/asset/transfer/query-account-coins-balance"),
        (AccountType.SPOT, SPOT, "/v5/asset/transfer/query-asset-info"),
    ],
)
def test_wallet_of_each_type_is_one_request(
    account_type: AccountType, result: Any, path: str, coins: tuple[str, ...]
) -> None:
    exchange = Exchange(result)
    snapshot = read_wallet(exchange.client, account(*coins), account_type).result
    one_coin = {"coin": ["BTC"]} if account_type is AccountType.SPOT and coins == ("BTC",) else {}
    assert exchange.asked == [(path, {"accountType": [account_type]} | one_coin)]
    assert [each.coin for each in snapshot.balances] == list(coins or ("BTC",))
    first = snapshot.balances[0]
    assert (first.free, first.frozen) == (Decimal(1), Decimal(2))
    assert (first.withdrawing == 0) == (account_type is AccountType.SPOT)
    assert (snapshot.margin is None) == (account_type is not AccountType.UNIFIED)


def test_funding_coin_that_is_not_listed_states_no_withdrawing() -> None:
    (balance,) = read_wallet(Exchange(FUND).client, account("SOL"), AccountType.FUND).result.balances
    assert (balance.free, balance.frozen, balance.withdrawing) == (Decimal(0), Decimal(0), None)


@pytest.mark.parametrize(
    ("status", "account_type"),
    [(1, AccountType.SPOT), *[(status, AccountType.UNIFIED) for status in (3, 4, 5, 6, 7)]],
)
def test_account_type_is_spot_for_a_classic_account_only(status: int, account_type: AccountType) -> None:
    exchange = Exchange({"unifiedMarginStatus": status, "marginMode": "REGULAR_MARGIN"})
    assert find_account_type(exchange.client, account()) is account_type
    assert exchange.asked == [("/v5/account/info", {})]
