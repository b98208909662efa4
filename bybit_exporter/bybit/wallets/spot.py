"""The spot wallet of a classic account."""

from __future__ import annotations

import sys

import msgspec

from ...model import Account, AccountSnapshot, AccountStatus, Balance
from ..amounts import ZERO, NonEmptyText, amount
from ..client import Answer, Client, decode
from ..errors import BANNED, MALFORMED, BybitError
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
    assets: msgspec.Raw = msgspec.Raw()
    """A list of `SpotAsset`. It is decoded after the status, so that a ban is seen even if the coins are malformed."""


class SpotResult(msgspec.Struct):
    """https://bybit-exchange.github.io/docs/v5/asset/balance/asset-info"""

    spot: Spot


def read_spot(client: Client, account: Account) -> Answer[AccountSnapshot]:
    """Reads the spot wallet. Raises BybitError for any failure."""
    params = {"accountType": "SPOT"}
    if account.coins is not None and len(account.coins) == 1:
        params["coin"] = account.coins[0]
    answer = client.get(SPOT_ASSETS_PATH, params, SpotResult, account)
    spot = answer.result.spot
    spot.status = spot.status.replace(account.api_key.reveal(), "***")  # an undocumented status is logged
    return answer.with_result(spot_snapshot(answer.result, account.coins))


def spot_snapshot(result: SpotResult, coins: tuple[str, ...] | None) -> AccountSnapshot:
    """Makes the snapshot of these coins (None: of all that are listed).

    Raises:
        BybitError: ``malformed``, as `read_balances` does; ``banned``, if the account is banned as well.
    """
    spot, path = result.spot, "result.spot.assets"
    status = _STATUS.get(spot.status, AccountStatus.UNKNOWN)
    try:
        if not spot.assets:
            raise BybitError(MALFORMED, f"{path}: missing")
        balances = read_balances(decode(spot.assets, list[SpotAsset], path), path, _balance)
    except BybitError as error:
        if status is AccountStatus.BANNED:
            raise BybitError(BANNED, f"{spot.status} ({error})") from None
        raise
    return wallet_snapshot(balances, coins, _NOT_HELD, status, spot.status)


def _balance(asset: SpotAsset) -> Balance:
    return Balance(
        sys.intern(asset.coin),  # one text for all accounts
        free=amount(asset.free, "free"),
        frozen=amount(asset.frozen, "frozen"),
        withdrawing=amount(asset.withdraw, "withdraw"),
    )
