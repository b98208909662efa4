"""What coins are worth, in US dollars: one request for all pairs of the spot market, without a key."""

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
"""What prices are quoted in. The answer does not say where in ``BTCUSDT`` the coin ends; the first of these are looked
at first."""


class Ticker(msgspec.Struct, rename="camel"):
    """A pair: its latest price, and the index price of its coin, where there is one."""

    symbol: str
    last_price: str
    usd_index_price: str = ""


class TickersResult(msgspec.Struct):
    """https://bybit-exchange.github.io/docs/v5/market/tickers"""

    tickers: list[Ticker] = msgspec.field(name="list")


def read_prices(client: Client) -> Answer[MarketPrices]:
    """The price in US dollars of every coin that has one.

    Raises:
        BybitError: whatever went wrong.
    """
    answer = client.get(TICKERS_PATH, {"category": "spot"}, TickersResult)
    return answer.with_result(MarketPrices(usd_prices(answer.result.tickers), frozenset()))


def usd_prices(tickers: Iterable[Ticker]) -> Mapping[str, Decimal]:
    """The index price of a coin, else the latest price of its USDT pair.

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
                price, rank = amount(ticker.last_price, "lastPrice"), len(QUOTES)
        except BybitError as error:
            error.prefix_path(f"result.list[{index}]")
            raise
        if coin and price > 0 and rank < ranks.get(coin, len(QUOTES) + 1):
            prices[coin], ranks[coin] = price, rank
    return prices


def split_symbol(symbol: str) -> tuple[str, str]:
    """The coin and what it is quoted in; two empty texts if that cannot be told: AVAXUSD may be of AVA or of AVAX."""
    quotes = [quote for quote in QUOTES if symbol.endswith(quote) and symbol != quote]
    return (symbol.removesuffix(quotes[0]), quotes[0]) if len(quotes) == 1 else ("", "")
