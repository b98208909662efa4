"""The account types: the request that each makes, and a pure function from its answer to a snapshot.

Each poll is one request, however many coins are configured.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, TypeVar

import msgspec
from msgspec.structs import replace

from ..model import Account, AccountSnapshot, AccountStatus, AccountType, Balance
from .amounts import ZERO, amount, minus
from .client import Answer, Client, redacts_key
from .errors import MALFORMED, BybitError

T = TypeVar("T")

SPOT_ASSETS_PATH = "/v5/asset/transfer/query-asset-info"
UNIFIED_WALLET_PATH = "/v5/account/wallet-balance"
COINS_BALANCE_PATH = "/v5/asset/transfer/query-account-coins-balance"
ACCOUNT_INFO_PATH = "/v5/account/info"

Coin = Annotated[str, msgspec.Meta(min_length=1)]


@redacts_key
def read_wallet(client: Client, account: Account, account_type: AccountType) -> Answer[AccountSnapshot]:
    """Asks the exchange for the account's balances and status.

    Raises:
        BybitError: whatever went wrong; there is no half of an answer.
    """
    return _READERS[account_type](client, account)


class SpotAsset(msgspec.Struct):
    """What an account holds of a coin, in decimal strings; ``""`` is 0."""

    coin: Coin
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


def _read_spot(client: Client, account: Account) -> Answer[AccountSnapshot]:
    params = {"accountType": "SPOT"}
    if account.coins is not None and len(account.coins) == 1:
        params["coin"] = account.coins[0]
    answer = client.get(SPOT_ASSETS_PATH, params, SpotResult, account)
    return answer.with_result(spot_snapshot(answer.result, account.coins))


def spot_snapshot(result: SpotResult, coins: tuple[str, ...] | None) -> AccountSnapshot:
    """The snapshot that a valid answer amounts to, for these coins (None: all that it lists).

    Raises:
        BybitError: ``malformed``, if an amount is not a finite decimal number or a coin is listed twice.
    """
    status = _SPOT_STATUS.get(result.spot.status, AccountStatus.UNKNOWN)
    path = "result.spot.assets"
    return _snapshot(result.spot.assets, path, _spot_balance, coins, _NOT_HELD_SPOT, status, result.spot.status)


def _spot_balance(asset: SpotAsset) -> Balance:
    return Balance(
        sys.intern(asset.coin),  # one text for all accounts
        free=amount(asset.free, "free"),
        frozen=amount(asset.frozen, "frozen"),
        withdrawing=amount(asset.withdraw, "withdraw"),
    )


class UnifiedCoin(msgspec.Struct, rename="camel"):
    """What a unified account holds of a coin. ``free`` and ``availableToWithdraw`` are deprecated, and not read."""

    coin: Coin
    wallet_balance: str
    locked: str
    equity: str
    usd_value: str


class UnifiedWallet(msgspec.Struct):
    """A unified wallet: the coins of which it holds or owes something."""

    coin: list[UnifiedCoin]


class UnifiedResult(msgspec.Struct):
    """https://bybit-exchange.github.io/docs/v5/account/wallet-balance"""

    wallets: Annotated[list[UnifiedWallet], msgspec.Meta(min_length=1)] = msgspec.field(name="list")


def _read_unified(client: Client, account: Account) -> Answer[AccountSnapshot]:
    answer = client.get(UNIFIED_WALLET_PATH, {"accountType": "UNIFIED"}, UnifiedResult, account)
    return answer.with_result(unified_snapshot(answer.result, account.coins))


def unified_snapshot(result: UnifiedResult, coins: tuple[str, ...] | None) -> AccountSnapshot:
    """The snapshot that a valid answer amounts to. A debt is a negative balance.

    Raises:
        BybitError: ``malformed``, if an amount is not a finite decimal number or a coin is listed twice.
    """
    return _snapshot(result.wallets[0].coin, "result.list[0].coin", _unified_balance, coins, _NOT_HELD_UNIFIED)


def _unified_balance(held: UnifiedCoin) -> Balance:
    locked = amount(held.locked, "locked")
    return Balance(
        sys.intern(held.coin),
        free=minus(amount(held.wallet_balance, "walletBalance"), locked, "walletBalance"),
        frozen=locked,
        equity=amount(held.equity, "equity"),
        usd_value=amount(held.usd_value, "usdValue"),
    )


class FundCoin(msgspec.Struct, rename="camel"):
    """What the funding wallet holds of a coin."""

    coin: Coin
    wallet_balance: str
    transfer_balance: str


class FundResult(msgspec.Struct):
    """https://bybit-exchange.github.io/docs/v5/asset/balance/all-balance"""

    balance: list[FundCoin]


def _read_fund(client: Client, account: Account) -> Answer[AccountSnapshot]:
    answer = client.get(COINS_BALANCE_PATH, {"accountType": "FUND"}, FundResult, account)
    return answer.with_result(fund_snapshot(answer.result, account.coins))


def fund_snapshot(result: FundResult, coins: tuple[str, ...] | None) -> AccountSnapshot:
    """The snapshot that a valid answer amounts to, without the withdrawals, which are read by themselves.

    Raises:
        BybitError: ``malformed``, if an amount is not a finite decimal number or a coin is listed twice.
    """
    return _snapshot(result.balance, "result.balance", _fund_balance, coins, _NOT_HELD_FUND)


def _fund_balance(held: FundCoin) -> Balance:
    free = amount(held.transfer_balance, "transferBalance")
    frozen = minus(amount(held.wallet_balance, "walletBalance"), free, "walletBalance")
    return Balance(sys.intern(held.coin), free, frozen)


class AccountInfo(msgspec.Struct, rename="camel"):
    """https://bybit-exchange.github.io/docs/v5/account/account-info"""

    unified_margin_status: int


CLASSIC = 1
"""The ``unifiedMarginStatus`` of a classic account; all others are unified."""


@redacts_key
def find_account_type(client: Client, account: Account) -> AccountType:
    """Which wallet the account trades from.

    Raises:
        BybitError: whatever went wrong.
    """
    answer = client.get(ACCOUNT_INFO_PATH, {}, AccountInfo, account)
    return AccountType.SPOT if answer.result.unified_margin_status == CLASSIC else AccountType.UNIFIED


_NOT_HELD_SPOT = Balance("", ZERO, ZERO, withdrawing=ZERO)
_NOT_HELD_UNIFIED = Balance("", ZERO, ZERO, equity=ZERO, usd_value=ZERO)
_NOT_HELD_FUND = Balance("", ZERO, ZERO)


def _snapshot(
    rows: Iterable[T],
    path: str,
    balance_of: Callable[[T], Balance],
    coins: tuple[str, ...] | None,
    not_held: Balance,
    status: AccountStatus = AccountStatus.NORMAL,
    raw_status: str = "",
) -> AccountSnapshot:
    """The snapshot of these coins (None: of all); a coin that is not listed is not held."""
    listed: dict[str, Balance] = {}
    for index, row in enumerate(rows):
        try:
            balance = balance_of(row)
            if balance.coin in listed:
                raise BybitError(MALFORMED, "coin: listed twice", seen=balance.coin)
        except BybitError as error:
            error.prefix_path(f"{path}[{index}]")
            raise
        listed[balance.coin] = balance
    if coins is None:
        return AccountSnapshot(status, tuple(listed.values()), raw_status)
    selected = [listed.get(coin) or replace(not_held, coin=coin) for coin in coins]
    unlisted = [coin for coin in coins if coin not in listed]
    return AccountSnapshot(status, tuple(selected), raw_status, tuple(unlisted))


_READERS: Mapping[AccountType, Callable[[Client, Account], Answer[AccountSnapshot]]] = {
    AccountType.SPOT: _read_spot,
    AccountType.UNIFIED: _read_unified,
    AccountType.FUND: _read_fund,
}
