"""Prices of the demo: smooth functions of the time, so that no state is needed."""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from bybit_exporter.sandbox.records import Ticker

if TYPE_CHECKING:
    from bybit_exporter.sandbox.exchange import Exchange

STEP_SECONDS = 5.0
DAY = 86_400.0

#: The price in USDT around which each coin moves, and the decimals of its price. All are invented.
PRICES = {"BTC": Decimal(64000), "ETH": Decimal(3100), "SOL": Decimal(145), "XRP": Decimal("0.52")}
PRICE_DECIMALS = {"BTC": 2, "ETH": 2, "SOL": 2, "XRP": 4}

#: The decimals of amounts of a coin.
DECIMALS = {"BTC": 6, "ETH": 5, "SOL": 3, "XRP": 2, "USDT": 2, "USDC": 2, "GIFT": 0}

#: Waves of a price: the amplitude as a share of the price, and the period in seconds.
_WAVES = ((0.012, 5400.0), (0.005, 1260.0), (0.0015, 290.0))


class Market:
    """Sets the pairs of the spot market to their prices at this moment."""

    def __init__(self) -> None:
        self._step = -1

    def __call__(self, exchange: Exchange, now: float) -> None:
        """Set new prices once every ``STEP_SECONDS``."""
        step = int(now // STEP_SECONDS)
        if step != self._step:
            self._step = step
            exchange.tickers.update(pairs(step * STEP_SECONDS))


def pairs(now: float) -> dict[str, Ticker]:
    """The pairs: each coin with a price in USDT, BTC also in USDC, ETH also in BTC, and USDT in EUR."""
    listed = {f"{coin}USDT": _pair(coin, now) for coin in PRICES}
    listed["USDCUSDT"] = Ticker(_text(1 / usdt_in_usd(now), 4), _text(Decimal(1), 4))
    listed["BTCUSDC"] = Ticker(_text(price("BTC", now) * usdt_in_usd(now), 2), listed["BTCUSDT"].usd_index_price)
    listed["ETHBTC"] = Ticker(_text(price("ETH", now) / price("BTC", now), 6))
    listed["USDTEUR"] = Ticker(_text(usdt_in_usd(now) * Decimal("0.92"), 4), _text(usdt_in_usd(now), 4))
    return listed


def price(coin: str, now: float) -> Decimal:
    """The price of a coin in USDT."""
    phase = sum(map(ord, coin))
    wave = sum(share * math.sin(2 * math.pi * now / seconds + phase) for share, seconds in _WAVES)
    return rounded_to(PRICES[coin] * Decimal(1 + wave), PRICE_DECIMALS[coin])


def usdt_in_usd(now: float) -> Decimal:
    """The price of USDT in USD: within a thousandth of a dollar."""
    return rounded_to(Decimal(1 + 0.0004 * math.sin(2 * math.pi * now / 7200)), 4)


def rounded(coin: str, amount: Decimal) -> Decimal:
    """An amount rounded towards zero to the decimals of the coin."""
    return rounded_to(amount, DECIMALS[coin])


def rounded_to(amount: Decimal, decimals: int) -> Decimal:
    """An amount rounded towards zero."""
    return amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_DOWN)


def _pair(coin: str, now: float) -> Ticker:
    decimals = PRICE_DECIMALS[coin]
    last, before = price(coin, now), price(coin, now - DAY)
    index = _text(last * usdt_in_usd(now), decimals)
    return Ticker(format(last, "f"), index, day_before=format(before, "f"), volume="12500")


def _text(amount: Decimal, decimals: int) -> str:
    return format(rounded_to(amount, decimals), "f")
