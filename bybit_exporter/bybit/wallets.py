"""The account types: the request that each makes, and a pure function from its answer to a snapshot."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

import msgspec

from ..model import Account, AccountSnapshot, AccountStatus, AccountType, Balance, RateLimit
from .client import Client
from .errors import MALFORMED, BybitError

SPOT_ASSETS_PATH = "/v5/asset/transfer/query-asset-info"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one poll brought: the snapshot, the exchange's limits by endpoint, when it was asked for, when it came."""

    snapshot: AccountSnapshot
    rate_limits: Mapping[str, RateLimit]
    asked_at: float
    received_at: float


def read_wallet(client: Client, account: Account) -> Reading:
    """Asks the exchange for the account's balances and status.

    Raises:
        BybitError: whatever went wrong; there is no half of an answer.
    """
    try:
        return _READERS[account.account_type](client, account)
    except BybitError as error:  # a refusal may repeat the key: that of a signature (10004) does
        error.hide(account.api_key.reveal())
        raise


class SpotAsset(msgspec.Struct):
    """What an account holds of a coin, in decimal strings; ``""`` is 0."""

    coin: Annotated[str, msgspec.Meta(min_length=1)]
    free: str
    frozen: str
    withdraw: str


class Spot(msgspec.Struct):
    """The spot account: its status, and what it holds of each coin."""

    status: str
    assets: list[SpotAsset]


class SpotResult(msgspec.Struct):
    """https://bybit-exchange.github.io/docs/v5/asset/balance/asset-info"""

    spot: Spot


_SPOT_STATUS = {
    "ACCOUNT_STATUS_NORMAL": AccountStatus.NORMAL,
    "ACCOUNT_STATUS_UNSPECIFIED": AccountStatus.BANNED,
}


def _read_spot(client: Client, account: Account) -> Reading:
    params = {"accountType": "SPOT"}
    if account.coins is not None and len(account.coins) == 1:
        params["coin"] = account.coins[0]
    answer = client.get(SPOT_ASSETS_PATH, params, SpotResult, account)
    snapshot = spot_snapshot(answer.result, account.coins)
    return Reading(snapshot, answer.rate_limits, answer.asked_at, answer.received_at)


def spot_snapshot(result: SpotResult, coins: tuple[str, ...] | None) -> AccountSnapshot:
    """The snapshot that a valid answer amounts to, for these coins (None: all that it lists).

    Raises:
        BybitError: ``malformed``, if an amount is not a finite decimal number or a coin is listed twice.
    """
    listed: dict[str, Balance] = {}
    for index, asset in enumerate(result.spot.assets):
        path = f"result.spot.assets[{index}]"
        if asset.coin in listed:
            raise BybitError(MALFORMED, f"{path}.coin: listed twice", seen=asset.coin)
        listed[asset.coin] = Balance(
            asset.coin,
            free=amount(asset.free, f"{path}.free"),
            frozen=amount(asset.frozen, f"{path}.frozen"),
            withdrawing=amount(asset.withdraw, f"{path}.withdraw"),
        )
    return AccountSnapshot(
        status=_SPOT_STATUS.get(result.spot.status, AccountStatus.UNKNOWN),
        raw_status=result.spot.status,
        balances=_select(listed, coins),
        unlisted_coins=tuple(coin for coin in coins or () if coin not in listed),
    )


def _select(listed: Mapping[str, Balance], coins: tuple[str, ...] | None) -> tuple[Balance, ...]:
    if coins is None:
        return tuple(listed.values())
    return tuple(listed.get(coin) or Balance(coin, _ZERO, _ZERO, _ZERO) for coin in coins)


_ZERO = Decimal(0)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def amount(text: str, path: str) -> Decimal:
    """The number that a decimal string means; ``""`` is 0.

    Raises:
        BybitError: ``malformed``, if it is no decimal number, or larger than a float.
    """
    if not text:
        return _ZERO
    rounded = float(text) if _DECIMAL.fullmatch(text) else math.nan
    if not math.isfinite(rounded):
        raise BybitError(MALFORMED, f"{path}: not a finite decimal number", seen=text)
    return Decimal(text) if rounded else _ZERO  # no negative zero, and no exponent without bounds


_READERS: Mapping[AccountType, Callable[[Client, Account], Reading]] = {AccountType.SPOT: _read_spot}
