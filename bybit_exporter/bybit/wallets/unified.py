"""The wallet of a unified account, in every margin mode: its balances and its margins.

The fields ``free``, ``availableToWithdraw``, ``availableToBorrow``, ``accountLTV`` and ``…ByMp`` are deprecated or
meaningless, and are not read.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import msgspec

from ...model import Account, AccountSnapshot, Balance, MarginSummary
from ..amounts import ZERO, NonEmptyText, OptionalText, amount, amount_if_present, amount_if_stated, minus, plus
from ..client import Answer, Client
from ..errors import BybitError
from .snapshot import read_balances, wallet_snapshot

UNIFIED_WALLET_PATH = "/v5/account/wallet-balance"

_NOT_HELD = Balance(
    "", ZERO, ZERO, equity=ZERO, usd_value=ZERO, borrowed=ZERO, accrued_interest=ZERO, unrealised_pnl=ZERO
)
"""A coin that is neither held nor owed. It has no margin figures, since these depend on the margin mode."""


class UnifiedCoin(msgspec.Struct, rename="camel"):
    """One coin that the account holds or owes. Amounts are decimal strings."""

    coin: NonEmptyText
    wallet_balance: str
    """Contains the coins borrowed for spot. Borrowing for derivatives makes it negative."""
    locked: str
    equity: str
    usd_value: str
    spot_borrow: str = ""
    """Part of the wallet balance. Answers from before September 2025 have neither the field nor this part."""
    bonus: str = ""
    borrow_amount: OptionalText = msgspec.UNSET
    """Debts of both kinds."""
    accrued_interest: OptionalText = msgspec.UNSET
    unrealised_pnl: OptionalText = msgspec.UNSET
    total_order_im: str = msgspec.field(default="", name="totalOrderIM")
    """This and the next two are empty in portfolio margin."""
    total_position_im: str = msgspec.field(default="", name="totalPositionIM")
    total_position_mm: str = msgspec.field(default="", name="totalPositionMM")


class UnifiedWallet(msgspec.Struct, rename="camel"):
    """The account: its coins, and its totals in USD as decimal strings. Isolated margin leaves most totals empty."""

    coin: list[UnifiedCoin]
    total_equity: str = ""
    total_wallet_balance: str = ""
    total_margin_balance: str = ""
    total_available_balance: str = ""
    total_perp_upl: str = msgspec.field(default="", name="totalPerpUPL")
    total_initial_margin: str = ""
    total_maintenance_margin: str = ""
    account_im_rate: OptionalText = msgspec.field(default=msgspec.UNSET, name="accountIMRate")
    account_mm_rate: str = msgspec.field(default="", name="accountMMRate")


class UnifiedResult(msgspec.Struct):
    """https://bybit-exchange.github.io/docs/v5/account/wallet-balance"""

    wallets: Annotated[list[UnifiedWallet], msgspec.Meta(min_length=1)] = msgspec.field(name="list")


def read_unified(client: Client, account: Account) -> Answer[AccountSnapshot]:
    """Reads the unified wallet. Raises BybitError for any failure."""
    answer = client.get(UNIFIED_WALLET_PATH, {"accountType": "UNIFIED"}, UnifiedResult, account)
    return answer.with_result(unified_snapshot(answer.result, account.coins))


def unified_snapshot(result: UnifiedResult, coins: tuple[str, ...] | None) -> AccountSnapshot:
    """Makes the snapshot of these coins (None: of all that are listed). A debt is a negative free balance.

    Raises:
        BybitError: ``malformed``, if an amount is not a finite decimal number or a coin is listed twice.
    """
    wallet = result.wallets[0]
    is_isolated = wallet.account_im_rate == ""  # older answers never have the rate
    balance_of = partial(_balance, is_isolated=is_isolated)
    balances = read_balances(wallet.coin, "result.list[0].coin", balance_of)
    try:
        margin = _margin_summary(wallet)
    except BybitError as error:
        error.prefix_path("result.list[0]")
        raise
    return wallet_snapshot(balances, coins, _NOT_HELD, margin=margin)


def _balance(held: UnifiedCoin, *, is_isolated: bool) -> Balance:
    owned = minus(amount(held.wallet_balance, "walletBalance"), amount(held.spot_borrow, "spotBorrow"), "walletBalance")
    frozen, bonus = amount(held.locked, "locked"), amount(held.bonus, "bonus")
    order_margin = amount_if_stated(held.total_order_im, "totalOrderIM")
    position_margin = amount_if_stated(held.total_position_im, "totalPositionIM")
    if is_isolated:  # each position's margin is frozen in the position's coin
        for part in (position_margin, order_margin, bonus):
            frozen = plus(frozen, part or ZERO, "locked")
    pnl = amount_if_present(held.unrealised_pnl, "unrealisedPnl")
    # An empty value means 0 if the account has nothing of the coin, else unknown.
    value = amount_if_stated if owned or pnl else amount
    return Balance(
        sys.intern(held.coin),  # one text for all accounts
        free=minus(owned, frozen, "walletBalance"),
        frozen=frozen,
        equity=value(held.equity, "equity"),
        usd_value=value(held.usd_value, "usdValue"),
        borrowed=amount_if_present(held.borrow_amount, "borrowAmount"),
        accrued_interest=amount_if_present(held.accrued_interest, "accruedInterest"),
        unrealised_pnl=pnl,
        initial_margin=None
        if position_margin is None or order_margin is None
        else plus(position_margin, order_margin, "totalPositionIM"),
        maintenance_margin=amount_if_stated(held.total_position_mm, "totalPositionMM"),
    )


def _margin_summary(wallet: UnifiedWallet) -> MarginSummary:
    return MarginSummary(
        equity_usd=amount_if_stated(wallet.total_equity, "totalEquity"),
        wallet_balance_usd=amount_if_stated(wallet.total_wallet_balance, "totalWalletBalance"),
        margin_balance_usd=amount_if_stated(wallet.total_margin_balance, "totalMarginBalance"),
        available_balance_usd=amount_if_stated(wallet.total_available_balance, "totalAvailableBalance"),
        unrealised_pnl_usd=amount_if_stated(wallet.total_perp_upl, "totalPerpUPL"),
        initial_margin_usd=amount_if_stated(wallet.total_initial_margin, "totalInitialMargin"),
        maintenance_margin_usd=amount_if_stated(wallet.total_maintenance_margin, "totalMaintenanceMargin"),
        initial_margin_ratio=amount_if_stated(wallet.account_im_rate, "accountIMRate"),
        maintenance_margin_ratio=amount_if_stated(wallet.account_mm_rate, "accountMMRate"),
    )
