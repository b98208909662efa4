"""The reader of the prices."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from bybit_exporter.bybit.errors import BybitError
from bybit_exporter.bybit.prices import QUOTES, read_prices, split_symbol
from bybit_exporter.model import FailureReason, MarketPrices
from tests.unit.bybit.fake_exchange import Exchange


def read(*tickers: tuple[str, str, str]) -> MarketPrices:
    rows = [{"symbol": s, "lastPrice": last, "usdIndexPrice": index} for s, last, index in tickers]
    return read_prices(Exchange({"category": "spot", "list": rows}).client).result


def prices(*tickers: tuple[str, str, str]) -> Mapping[str, Decimal]:
    return read(*tickers).usd


def test_prices_are_read_with_one_request() -> None:
    exchange = Exchange({"category": "spot", "list": []})
    assert read_prices(exchange.client).result == MarketPrices({}, frozenset())
    assert exchange.asked == [("/v5/market/tickers", {"category": ["spot"]})]


def test_price_is_the_index_price_or_else_the_latest_in_usdt() -> None:
    found = prices(
        ("BTCUSDT", "64000", "63950.5"), ("XRPUSDT", "0.52", ""), ("ETHBTC", "0.05", ""), ("SOLEUR", "140", "")
    )
    assert found == {"BTC": Decimal("63950.5"), "XRP": Decimal("0.52")}


def test_price_of_usdt_is_its_index_price_where_there_is_one() -> None:
    assert prices(("BTCUSDT", "1", "")) == {"BTC": 1}
    assert prices(("USDTEUR", "0.92", "0.9995"), ("USDTBRL", "5.5", "0.9994"))["USDT"] == Decimal("0.9995")


def test_price_does_not_depend_on_the_order_of_the_pairs() -> None:
    rows = [("BTCEUR", "59000", "63940"), ("BTCUSDT", "64000", "63950"), ("BTCUSDC", "64000", "63945")]
    assert prices(*rows) == prices(*reversed(rows)) == {"BTC": 63950}
    rows = [("ABCUSDT", "2", ""), ("ABCEUR", "1.9", "2.05")]
    assert prices(*rows) == prices(*reversed(rows)) == {"ABC": Decimal("2.05")}


def test_price_of_an_ambiguous_symbol_is_given_to_no_coin() -> None:
    assert prices(("AVAXUSD", "30", "31"), ("AVAXUSDT", "30", ""), ("AVAUSDT", "0.5", "")) == {
        "AVAX": 30,
        "AVA": Decimal("0.5"),
    }


def test_price_that_is_empty_0_or_negative_is_none() -> None:
    assert prices(("ABCUSDT", "0", "0"), ("DEFUSDT", "", ""), ("GHIUSDT", "-1", "")) == {}


def test_price_that_is_no_number_makes_the_answer_malformed() -> None:
    with pytest.raises(BybitError, match=r"^result\.list\[\d\]\.usdIndexPrice: not a finite decimal number") as caught:
        prices(("BTCUSDT", "64000", "63950"), ("ETHUSDT", "3000", "Infinity"))
    assert caught.value.reason is FailureReason.MALFORMED


@pytest.mark.parametrize(
    ("symbol", "coin", "quote"),
    [
        ("BTCUSDT", "BTC", "USDT"),
        ("USDCUSDT", "USDC", "USDT"),
        ("USDTUSD", "USDT", "USD"),
        ("1INCHUSDT", "1INCH", "USDT"),
        ("ETHFIUSDT", "ETHFI", "USDT"),
        ("USDEUSDC", "USDE", "USDC"),
        ("ABCUSD", "ABC", "USD"),
        ("ABCRLUSD", "", ""),
        ("AVAXUSD", "", ""),
        ("USDT", "", ""),
        ("NONSENSE", "", ""),
        ("", "", ""),
    ],
)
def test_symbol_is_split_only_if_there_is_one_way(symbol: str, coin: str, quote: str) -> None:
    assert split_symbol(symbol) == (coin, quote)


def test_quotes_are_listed_once() -> None:
    assert len(set(QUOTES)) == len(QUOTES)


def test_coins_are_the_bases_and_quotes_of_all_pairs_with_or_without_a_price() -> None:
    found = read(("BTCUSDT", "64000", "63950.5"), ("XRPEUR", "0.5", ""), ("DEFUSDT", "0", ""))
    assert found.coins == {"BTC", "USDT", "XRP", "EUR", "DEF"}


def test_coins_of_an_ambiguous_symbol_are_those_of_every_way_to_split_it() -> None:
    assert {"AVAX", "AVA", "USD"} <= read(("AVAXUSD", "30", "31")).coins
    assert {"ABC", "ABCRL"} <= read(("ABCRLUSD", "1", "")).coins


@pytest.mark.parametrize("symbol", ["NONSENSE", "USDT", ""])
def test_coins_of_a_symbol_that_cannot_be_split_are_none(symbol: str) -> None:
    assert read((symbol, "1", "1")).coins == frozenset()
