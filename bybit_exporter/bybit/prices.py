"""Prices of coins in US dollars: one request for all pairs of the spot market, without a key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from ..model import MarketPrices
from .amounts import amount
from .client import Answer, Client
from .errors import BybitError

TICKERS_PATH = "/v5/market/tickers"

QUOTES = (
    *("USDT", "USDC", "USDE", "USD1", "USDQ", "USDR", "RLUSD", "XUSD", "DAI", "BTC", "ETH", "MNT", "BRZ"),
    *("USD", "EUR", "GBP", "BRL", "PLN", "TRY", "AED", "KZT", "GEL", "UAH", "RUB", "ARS", "IDR", "JPY", "PHP"),
)
"""The coins that prices are quoted in, in order of preference. The answer does not say where in ``BTCUSDT`` the base
ends and the quote begins."""

_LAST_PRICE_RANK = len(QUOTES)
"""The preference for a latest price: below every index price."""


class Ticker(msgspec.Struct, rename="camel"):
    """A pair: its latest price, and the index price of its base in US dollars, or ``""``."""

    symbol: str
    last_price: str
    usd_index_price: str = ""


class TickersResult(msgspec.Struct):
    """https://bybit-exchange.github.io/docs/v5/market/tickers"""

    tickers: list[Ticker] = msgspec.field(name="list")


def read_prices(client: Client) -> Answer[MarketPrices]:
    """Reads the prices and the names of all coins of the spot market. Raises BybitError for any failure."""
    answer = client.get(TICKERS_PATH, {"category": "spot"}, TickersResult)
    tickers = answer.result.tickers
    # All splits of an ambiguous symbol count. Otherwise the log could report an existing coin as unknown.
    coins = frozenset(coin for each in tickers for split in possible_splits(each.symbol) for coin in split)
    return answer.with_result(MarketPrices(usd_prices(tickers), coins))


def usd_prices(tickers: Iterable[Ticker]) -> Mapping[str, Decimal]:
    """The price of each coin: its index price, or else the latest price of its USDT pair.

    USDT has no USDT pair: it has a price only if it has an index price.

    Raises:
        BybitError: ``malformed``, if a price is not a finite decimal number.
    """
    prices: dict[str, Decimal] = {}
    ranks: dict[str, int] = {}
    for index, ticker in enumerate(tickers):
        coin, quote = split_symbol(ticker.symbol)
        try:
            price, rank = amount(ticker.usd_index_price, "usdIndexPrice"), QUOTES.index(quote) if quote else -1
            if not price and quote == "USDT":
                price, rank = amount(ticker.last_price, "lastPrice"), _LAST_PRICE_RANK
        except BybitError as error:
            error.prefix_path(f"result.list[{index}]")
            raise
        if coin and price > 0 and rank < ranks.get(coin, _LAST_PRICE_RANK + 1):
            prices[coin], ranks[coin] = price, rank
    return prices


def split_symbol(symbol: str) -> tuple[str, str]:
    """The base and the quote of a pair; two empty texts if there is more than one way to split the symbol, or none.

    ``AVAXUSD`` may be AVAX in USD or AVA in XUSD. No coin gets the price of an ambiguous symbol.
    """
    splits = possible_splits(symbol)
    return splits[0] if len(splits) == 1 else ("", "")


def possible_splits(symbol: str) -> list[tuple[str, str]]:
    """Every way to split the symbol of a pair into a base and a known quote."""
    return [(symbol.removesuffix(quote), quote) for quote in QUOTES if symbol.endswith(quote) and symbol != quote]
