"""What the exchange says about wallets: spot, unified, funding."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from bybit_exporter.sandbox.accounts import Account, Holder
from bybit_exporter.sandbox.endpoints import parameters
from bybit_exporter.sandbox.endpoints.routes import Answer, Query
from bybit_exporter.sandbox.messages import Refusal
from bybit_exporter.sandbox.wallets import EXACT, FundingHolding, UnifiedHolding, decimal, plus

MOST_UNIFIED_COINS = 10

_EIGHT_DECIMALS = Decimal("0.00000001")


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
    held = account.unified.serve()
    listed = wanted or [coin for coin, holding in held.items() if not holding.is_zero]
    coins = [_unified_coin(coin, held.get(coin, UnifiedHolding())) for coin in listed]
    return "OK", {"list": [{**_unified_totals(held.values()), "coin": coins}]}


def _unified_totals(held: Iterable[UnifiedHolding]) -> dict[str, str]:
    """The whole account in USD. There are no derivatives here, so nothing but coins counts."""
    total = sum((decimal(holding.usd_value) for holding in held), Decimal(0))
    usd = format(total.quantize(_EIGHT_DECIMALS, context=EXACT).normalize(EXACT), "f")
    return {
        "accountType": "UNIFIED",
        "totalEquity": usd,
        "totalWalletBalance": usd,
        "totalMarginBalance": usd,
        "totalAvailableBalance": usd,
        "totalPerpUPL": "0",
        "accountIMRate": "0",
        "accountIMRateByMp": "0",
        "accountMMRate": "0",
        "accountMMRateByMp": "0",
        "totalInitialMargin": "0",
        "totalInitialMarginByMp": "0",
        "totalMaintenanceMargin": "0",
        "totalMaintenanceMarginByMp": "0",
        "accountLTV": "0",
    }


def _unified_coin(coin: str, holding: UnifiedHolding) -> dict[str, Any]:
    """One coin. The deprecated fields are there and say nothing, so that whoever uses them is found out."""
    return {
        "coin": coin,
        "equity": holding.equity,
        "usdValue": holding.usd_value,
        "walletBalance": holding.wallet_balance,
        "locked": holding.locked,
        "borrowAmount": holding.borrow_amount,
        "spotBorrow": holding.spot_borrow,
        "unrealisedPnl": holding.unrealised_pnl,
        "cumRealisedPnl": "0",
        "accruedInterest": "0",
        "bonus": "0",
        "spotHedgingQty": "0",
        "totalOrderIM": "0",
        "totalPositionIM": "0",
        "totalPositionMM": "0",
        "marginCollateral": True,
        "collateralSwitch": True,
        "colRes": "0",
        "free": "",
        "availableToWithdraw": "",
        "availableToBorrow": "",
    }


def coins_balance(account: Account, query: Query) -> Answer:
    """https://bybit-exchange.github.io/docs/v5/asset/balance/all-balance: a coin asked for is listed, held or not."""
    account_type = parameters.one_of(query, "accountType", "FUND", "UNIFIED")
    wanted = parameters.coins(query)
    bonus = "0" if parameters.whole(query, "withBonus", 0, most=1) else ""
    holder = _holder(account, query)
    if account_type == "FUND":
        rows = _funding(holder, wanted)
    else:
        if not 1 <= len(wanted) <= MOST_UNIFIED_COINS:
            raise parameters.bad("coin", query.get("coin", ""), f"1 to {MOST_UNIFIED_COINS} coins")
        if holder is account and account.mode == "classic":
            raise Refusal(10028)
        rows = _unified(holder, wanted)
    balance = [{**row, "bonus": bonus} for row in rows]
    return "success", {"accountType": account_type, "memberId": str(holder.uid), "balance": balance}


def _holder(account: Account, query: Query) -> Holder:
    """Whose wallet is asked for: one's own, or as a master that of a member."""
    uid = parameters.whole(query, "memberId", account.uid)
    if uid == account.uid:
        return account
    if account.parent is not None:
        raise Refusal(10005)
    if uid not in account.members:
        raise Refusal(131202)
    return account.members[uid]


def _funding(holder: Holder, wanted: tuple[str, ...]) -> list[dict[str, str]]:
    held = holder.funding.serve()
    rows = [(coin, held.get(coin, FundingHolding())) for coin in wanted or held]
    return [_balance(coin, row.wallet_balance, row.transferable) for coin, row in rows]


def _unified(holder: Holder, wanted: tuple[str, ...]) -> list[dict[str, str]]:
    held = holder.unified.serve()
    rows = [(coin, held.get(coin, UnifiedHolding())) for coin in wanted]
    return [_balance(coin, row.wallet_balance, _not_locked(row)) for coin, row in rows]


def _not_locked(holding: UnifiedHolding) -> str:
    rest = plus(holding.wallet_balance, -decimal(holding.locked))
    return rest if Decimal(rest) > 0 else "0"


def _balance(coin: str, wallet_balance: str, transfer_balance: str) -> dict[str, str]:
    return {"coin": coin, "walletBalance": wallet_balance, "transferBalance": transfer_balance}
