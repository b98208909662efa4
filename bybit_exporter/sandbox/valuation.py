"""The worth of coins, wallets and products in USD, at the prices of the exchange's spot market."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from bybit_exporter.sandbox.records import UNDER_WAY, Product, Ticker, Withdrawal
from bybit_exporter.sandbox.wallets import EXACT, FundingHolding, Holding, UnifiedHolding, decimal

Tickers = Mapping[str, Ticker]

ZERO = Decimal(0)

#: Quote coins of the pairs that state an index price. The first pair that has one is used.
QUOTES = ("USDT", "USDC", "EUR", "BTC", "ETH")

#: Worth one dollar where no pair states their index price.
STABLE_COINS = ("USDT", "USDC")

_EIGHT_DECIMALS = Decimal("0.00000001")


def usd_price(tickers: Tickers, coin: str) -> Decimal | None:
    """The index price of a coin, else the latest price of its USDT pair. None: nothing states one."""
    for quote in QUOTES:
        ticker = tickers.get(coin + quote)
        if ticker and ticker.usd_index_price:
            return Decimal(ticker.usd_index_price)
    pair = tickers.get(f"{coin}USDT")
    if pair:
        return Decimal(pair.last_price)
    return Decimal(1) if coin in STABLE_COINS else None


def usd_value(tickers: Tickers, coin: str, amount: Decimal) -> Decimal:
    """What an amount of a coin is worth; 0 where there is no price."""
    return EXACT.multiply(amount, usd_price(tickers, coin) or ZERO)


def usd_text(amount: Decimal) -> str:
    """An amount of USD as the exchange writes it: at most eight decimals, no exponent."""
    rounded = amount.quantize(_EIGHT_DECIMALS, context=EXACT).normalize(EXACT)
    return format(EXACT.add(rounded, ZERO), "f")


def unified_rate(tickers: Tickers, coin: str, holding: UnifiedHolding) -> Decimal:
    """USD for one unit of a coin: from the value that the holding states, else the price."""
    equity = decimal(holding.equity)
    if holding.usd_value is not None and equity:
        return EXACT.divide(decimal(holding.usd_value), equity)
    return usd_price(tickers, coin) or ZERO


def unified_coin_usd(tickers: Tickers, coin: str, holding: UnifiedHolding) -> str:
    """The equity of one coin in USD: as the holding states it, else at the price."""
    if holding.usd_value is not None:
        return holding.usd_value
    return usd_text(usd_value(tickers, coin, decimal(holding.equity)))


def spot_usd(rows: Mapping[str, Holding], tickers: Tickers) -> Decimal:
    """The spot wallet of a classic account, with what is frozen or being withdrawn."""
    amounts = {coin: decimal(row.free) + decimal(row.frozen) + decimal(row.withdraw) for coin, row in rows.items()}
    return coins_usd(amounts, tickers)


def unified_usd(rows: Mapping[str, UnifiedHolding], tickers: Tickers) -> Decimal:
    """The equity of a unified wallet, debts subtracted."""
    return sum((decimal(unified_coin_usd(tickers, coin, row)) for coin, row in rows.items()), ZERO)


def funding_usd(
    rows: Mapping[str, FundingHolding], tickers: Tickers, withdrawals: Mapping[str, Withdrawal] | None = None
) -> Decimal:
    """The funding wallet, and what has left it for a withdrawal that has not ended."""
    under_way = [each for each in (withdrawals or {}).values() if each.status in UNDER_WAY]
    leaving = sum((usd_value(tickers, each.coin, decimal(each.amount)) for each in under_way), ZERO)
    return leaving + coins_usd({coin: decimal(row.wallet_balance) for coin, row in rows.items()}, tickers)


def product_usd(product: Product, tickers: Tickers) -> Decimal:
    """All coins and categories of a product."""
    parts = [product.coins, *product.categories.values()]
    return sum((coins_usd({coin: decimal(text) for coin, text in part.items()}, tickers) for part in parts), ZERO)


def coins_usd(amounts: Mapping[str, Decimal], tickers: Tickers) -> Decimal:
    """Amounts of several coins together."""
    return sum((usd_value(tickers, coin, amount) for coin, amount in amounts.items()), ZERO)
