"""Endpoints about all that an account has, products included, and about what the exchange holds back."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bybit_exporter.sandbox.endpoints import parameters
from bybit_exporter.sandbox.endpoints.members import member_or_self
from bybit_exporter.sandbox.endpoints.routes import Answer, Query
from bybit_exporter.sandbox.exchange import Account
from bybit_exporter.sandbox.holders import Holder
from bybit_exporter.sandbox.margin import transferable
from bybit_exporter.sandbox.records import Product
from bybit_exporter.sandbox.valuation import (
    ZERO,
    Tickers,
    coins_usd,
    funding_usd,
    product_usd,
    unified_usd,
    usd_price,
    usd_text,
)
from bybit_exporter.sandbox.wallets import EXACT, FundingHolding, decimal

CURRENCY = "USD"


def asset_overview(account: Account, query: Query) -> Answer:
    """https://bybit-exchange.github.io/docs/v5/asset/balance/asset-overview: USD is the only currency here."""
    holder = member_or_self(account, query)
    if query.get("valuationCurrency", CURRENCY) != CURRENCY:
        raise parameters.bad("valuationCurrency", query["valuationCurrency"], CURRENCY)
    now, tickers = account.exchange.now_ms(), account.exchange.tickers.rows
    listed = [_product(name, product, tickers, now) for name, product in holder.products.serve().items()]
    listed += _wallets(holder, tickers, now)
    wanted = query.get("accountType", "")
    listed = [each for each in listed if wanted in ("", each["accountType"])]
    total = sum((Decimal(each["totalEquity"]) for each in listed), ZERO)
    return "Success", {"totalEquity": usd_text(total), "list": listed}


def withdrawable_amount(account: Account, query: Query) -> Answer:
    """https://bybit-exchange.github.io/docs/v5/asset/balance/delay-amount: one coin, which must be given."""
    coin = parameters.coin(query)
    if not coin:
        raise parameters.bad("coin", "", "one upper-case coin")
    available = {"FUND": account.funding.serve().get(coin, FundingHolding()).transferable}
    tickers = account.exchange.tickers.rows
    if account.mode == "unified":
        held, mode = account.unified.serve(), account.margin_mode
        available["UTA"] = transferable(held, coin, tickers, mode, account.haircut_usd)
    else:
        row = account.spot.serve().get(coin)
        available["SPOT"] = row.free if row else "0"
    kept_back = _in_coin(decimal(account.risk_frozen_usd), usd_price(tickers, coin))
    amounts = {wallet: _withdrawable(coin, amount, kept_back) for wallet, amount in available.items()}
    return "success", {"limitAmountUsd": account.risk_frozen_usd, "withdrawableAmount": amounts}


def _product(name: str, product: Product, tickers: Tickers, now: int) -> dict[str, Any]:
    """A product with the coins of its categories, or with coins of its own."""
    head = _head(name, product_usd(product, tickers), now - round(product.snapshot_age * 1000))
    if not product.categories:
        return {**head, "coinDetail": _coins(product.coins)}
    categories = [
        {"category": category, "equity": usd_text(_usd(coins, tickers)), "coinDetail": _coins(coins)}
        for category, coins in product.categories.items()
    ]
    return {**head, "categories": categories}


def _wallets(holder: Holder, tickers: Tickers, now: int) -> list[dict[str, Any]]:
    """The funding wallet and, of a unified account, the unified wallet."""
    funding, unified = holder.funding.rows, holder.unified.rows
    coins = _coins({coin: row.wallet_balance or "0" for coin, row in funding.items()})
    listed = [{**_head("FundingAccount", funding_usd(funding, tickers), now), "coinDetail": coins}]
    if not isinstance(holder, Account) or holder.mode == "unified":
        coins = _coins({coin: row.equity for coin, row in unified.items() if not row.is_zero})
        listed.append({**_head("UnifiedTradingAccount", unified_usd(unified, tickers), now), "coinDetail": coins})
    return listed


def _head(account_type: str, usd: Decimal, snapshot_ms: int) -> dict[str, Any]:
    return {
        "accountType": account_type,
        "totalEquity": usd_text(usd),
        "valuationCurrency": CURRENCY,
        "snapshotTime": str(snapshot_ms),
    }


def _coins(amounts: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"coin": coin, "equity": amount} for coin, amount in amounts.items()]


def _usd(coins: Mapping[str, str], tickers: Tickers) -> Decimal:
    return coins_usd({coin: decimal(amount) for coin, amount in coins.items()}, tickers)


def _in_coin(usd: Decimal, price: Decimal | None) -> Decimal:
    return EXACT.divide(usd, price) if price else ZERO


def _withdrawable(coin: str, available: str, kept_back: Decimal) -> dict[str, str]:
    """What may be withdrawn of what is available: what the exchange holds back because of risk is left out."""
    amount = max(ZERO, decimal(available) - kept_back)
    return {"coin": coin, "withdrawableAmount": usd_text(amount), "availableBalance": available}
