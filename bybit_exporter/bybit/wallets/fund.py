"""The funding wallet. The withdrawals under way have their own request."""

from __future__ import annotations

import sys

import msgspec

from ...model import Account, AccountSnapshot, Balance
from ..amounts import ZERO, NonEmptyText, amount, minus
from ..client import Answer, Client
from .snapshot import read_balances, wallet_snapshot

COINS_BALANCE_PATH = "/v5/asset/transfer/query-account-coins-balance"

_NOT_HELD = Balance("", ZERO, ZERO)


class FundCoin(msgspec.Struct, rename="camel"):
    """One coin of the wallet. Amounts are decimal strings; ``""`` is 0."""

    coin: NonEmptyText
    wallet_balance: str
    transfer_balance: str


class FundResult(msgspec.Struct):
    """https://bybit-exchange.github.io/docs/v5/asset/balance/all-balance"""

    balance: list[FundCoin]


def read_fund(client: Client, account: Account) -> Answer[AccountSnapshot]:
    """Reads the funding wallet. Raises BybitError for any failure."""
    answer = client.get(COINS_BALANCE_PATH, {"accountType": "FUND"}, FundResult, account)
    return answer.with_result(fund_snapshot(answer.result, account.coins))


def fund_snapshot(result: FundResult, coins: tuple[str, ...] | None) -> AccountSnapshot:
    """Makes the snapshot of these coins (None: of all that are listed). Raises BybitError as `read_balances` does."""
    return wallet_snapshot(read_balances(result.balance, "result.balance", _balance), coins, _NOT_HELD)


def _balance(held: FundCoin) -> Balance:
    free = amount(held.transfer_balance, "transferBalance")
    frozen = minus(amount(held.wallet_balance, "walletBalance"), free, "walletBalance")
    return Balance(sys.intern(held.coin), free, frozen)
