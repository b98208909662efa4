"""Endpoints about the spot, unified and funding wallet."""

from __future__ import annotations

from typing import Any

from bybit_exporter.sandbox.endpoints import parameters
from bybit_exporter.sandbox.endpoints.members import member_or_self
from bybit_exporter.sandbox.endpoints.routes import Answer, Query
from bybit_exporter.sandbox.exchange import Account
from bybit_exporter.sandbox.holders import Holder
from bybit_exporter.sandbox.margin import NOT_IN_PORTFOLIO_MARGIN, MarginMode, account_totals, transferable
from bybit_exporter.sandbox.messages import Refusal
from bybit_exporter.sandbox.valuation import Tickers, unified_coin_usd
from bybit_exporter.sandbox.wallets import FundingHolding, UnifiedHolding

MOST_UNIFIED_COINS = 10


def asset_info(account: Account, query: Query) -> Answer:
    """https://bybit-exchange.github.io/docs/v5/asset/balance/asset-info: a coin not held is not listed."""
    if account.mode == "unified":
        raise Refusal(account.mode_code)
    parameters.one_of(query, "accountType", "SPOT")
    coin = parameters.coin(query)
    assets = [
        {"coin": name, "frozen": holding.frozen, "free": holding.free, "withdraw": holding.withdraw}
        for name, holding in account.spot.serve().items()
        if coin in ("", name)
    ]
    return "success", {"spot": {"status": account.status, "assets": assets}}


def wallet_balance(account: Account, query: Query) -> Answer:
    """https://bybit-exchange.github.io/docs/v5/account/wallet-balance: a coin asked for is listed, held or not."""
    if account.mode == "classic":
        raise Refusal(10028)
    parameters.one_of(query, "accountType", "UNIFIED")
    wanted = parameters.coins(query)
    held, tickers = account.unified.serve(), account.exchange.tickers.rows
    listed = wanted or [coin for coin, holding in held.items() if not holding.is_zero]
    coins = [_unified_coin(coin, held.get(coin, UnifiedHolding()), tickers, account.margin_mode) for coin in listed]
    totals = account_totals(held, tickers, account.margin_mode, account.haircut_usd)
    return "OK", {"list": [{**totals, "coin": coins}]}


def _unified_coin(coin: str, holding: UnifiedHolding, tickers: Tickers, mode: MarginMode) -> dict[str, Any]:
    """One coin. The deprecated fields are there and empty, so that a client that uses them fails its tests."""
    fields = {
        "coin": coin,
        "equity": holding.equity,
        "usdValue": unified_coin_usd(tickers, coin, holding),
        "walletBalance": holding.wallet_balance,
        "locked": holding.locked,
        "borrowAmount": holding.debt,
        "spotBorrow": holding.spot_borrow,
        "unrealisedPnl": holding.unrealised_pnl,
        "cumRealisedPnl": "0",
        "accruedInterest": holding.accrued_interest,
        "bonus": holding.bonus,
        "spotHedgingQty": "0",
        "totalOrderIM": holding.order_im,
        "totalPositionIM": holding.position_im,
        "totalPositionMM": holding.position_mm,
        "marginCollateral": True,
        "collateralSwitch": True,
        "colRes": "0",
        "free": "",
        "availableToWithdraw": "",
        "availableToBorrow": "",
    }
    return fields | dict.fromkeys(NOT_IN_PORTFOLIO_MARGIN, "") if mode == "PORTFOLIO_MARGIN" else fields


def coins_balance(account: Account, query: Query) -> Answer:
    """https://bybit-exchange.github.io/docs/v5/asset/balance/all-balance: a coin asked for is listed, held or not."""
    account_type = parameters.one_of(query, "accountType", "FUND", "UNIFIED")
    wanted = parameters.coins(query)
    bonus = "0" if parameters.whole(query, "withBonus", 0, most=1) else ""
    holder = member_or_self(account, query)
    if account_type == "FUND":
        rows = _funding(holder, wanted)
    else:
        if not 1 <= len(wanted) <= MOST_UNIFIED_COINS:
            raise parameters.bad("coin", query.get("coin", ""), f"1 to {MOST_UNIFIED_COINS} coins")
        if holder is account and account.mode == "classic":
            raise Refusal(10028)
        rows = _unified(holder, wanted, account.exchange.tickers.rows)
    balance = [{**row, "bonus": bonus} for row in rows]
    return "success", {"accountType": account_type, "memberId": str(holder.uid), "balance": balance}


def _funding(holder: Holder, wanted: tuple[str, ...]) -> list[dict[str, str]]:
    held = holder.funding.serve()
    rows = [(coin, held.get(coin, FundingHolding())) for coin in wanted or held]
    return [_balance(coin, row.wallet_balance, row.transferable) for coin, row in rows]


def _unified(holder: Holder, wanted: tuple[str, ...], tickers: Tickers) -> list[dict[str, str]]:
    held = holder.unified.serve()
    rows = [(coin, held.get(coin, UnifiedHolding()).wallet_balance) for coin in wanted]
    mode, haircut = holder.margin_mode, holder.haircut_usd
    return [_balance(coin, whole, transferable(held, coin, tickers, mode, haircut)) for coin, whole in rows]


def _balance(coin: str, wallet_balance: str, transfer_balance: str) -> dict[str, str]:
    return {"coin": coin, "walletBalance": wallet_balance, "transferBalance": transfer_balance}
