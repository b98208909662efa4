"""The spot wallet of a classic account."""

from __future__ import annotations

import sys

import msgspec

from ...model import Account, AccountSnapshot, AccountStatus, Balance
from ..amounts import ZERO, NonEmptyText, amount
from ..client import Answer, Client
from .snapshot import read_balances, wallet_snapshot

SPOT_ASSETS_PATH = "/v5/asset/transfer/query-asset-info"

_STATUS = {
    "ACCOUNT_STATUS_NORMAL": AccountStatus.NORMAL,
    "ACCOUNT_STATUS_UNSPECIFIED": AccountStatus.BANNED,
}

_NOT_HELD = Balance("", ZERO, ZERO, withdrawing=ZERO)


class SpotAsset(msgspec.Struct):
    """One coin of the wallet. Amounts are decimal strings; ``""`` is 0."""

    coin: NonEmptyText
    free: str
    frozen: str
    withdraw: str


class Spot(msgspec.Struct):
    """The wallet: the account's status and its coins."""

    status: str
    assets: list[SpotAsset]


class SpotResult(msgspec.Struct):
    """https://bybit-exchange.github.io/docs/v5/asset/balance/asset-info"""

    spot: Spot


def read_spot(client: Client, account: Account) -> Answer[AccountSnapshot]:
    """Reads the spot wallet. Raises BybitError for any failure."""
    params = {"accountType": "SPOT"}
    if account.coins is not None and len(account.coins) == 1:
        params["coin"] = account.coins[0]
    answer = client.get(SPOT_ASSETS_PATH, params, SpotResult, account)
    return answer.with_result(spot_snapshot(answer.result, account.coins))


def spot_snapshot(result: SpotResult, coins: tuple[str, ...] | None) -> AccountSnapshot:
    """Makes the snapshot of these coins (None: of all that are listed). Raises BybitError as `read_balances` does."""
    spot = result.spot
    balances = read_balances(spot.assets, "result.spot.assets", _balance)
    return wallet_snapshot(balances, coins, _NOT_HELD, _STATUS.get(spot.status, AccountStatus.UNKNOWN), spot.status)


def _balance(asset: SpotAsset) -> Balance:
    return Balance(
        sys.intern(asset.coin),  # one text for all accounts
        free=amount(asset.free, "free"),
        frozen=amount(asset.frozen, "frozen"),
        withdrawing=amount(asset.withdraw, "withdraw"),
    )
