"""The reader of the assets outside the wallets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bybit_exporter.bybit.products import read_products
from bybit_exporter.model import FailureReason, ProductEquity, Products
from tests.unit.bybit.fake_exchange import MAIN, Exchange, refusal


def entry(product: str, usd: str | None = "1", time: str | None = "1790000000000", **fields: Any) -> dict[str, Any]:
    return {"accountType": product, "totalEquity": usd, "valuationCurrency": "USD", "snapshotTime": time, **fields}


def coins(*rows: tuple[str, str]) -> list[dict[str, str]]:
    return [{"coin": coin, "equity": equity} for coin, equity in rows]


def category(name: str | None, *rows: tuple[str, str]) -> dict[str, Any]:
    return {"category": name, "equity": "1", "coinDetail": coins(*rows)}


def read(*entries: dict[str, Any]) -> Products:
    return read_products(Exchange({"totalEquity": "1", "list": list(entries)}).client, MAIN).result


EARN = entry("Earn", "21000", categories=[category("Easy Earn", ("BTC", "0.3"), ("USDT", "3000"))])
LOANS = entry("CryptoLoans", "-500", "1789999990000", coinDetail=coins(("USDT", "-500")))
FUNDING = entry("FundingAccount", "5950", "1780000000000", coinDetail=coins(("USDT", "5950")))
UNIFIED = entry("UnifiedTradingAccount", "9", "1780000000000", coinDetail=coins(("USDT", "9")))


def test_products_are_read_with_one_request() -> None:
    exchange = Exchange({"list": [EARN]})
    read_products(exchange.client, MAIN)
    assert exchange.asked == [("/v5/asset/asset-overview", {})]


def test_products_are_listed_without_the_wallets() -> None:
    assert read(EARN, LOANS, FUNDING, UNIFIED) == Products(
        equities=(
            ProductEquity("Earn", "Easy Earn", "BTC", Decimal("0.3")),
            ProductEquity("Earn", "Easy Earn", "USDT", Decimal(3000)),
            ProductEquity("CryptoLoans", "", "USDT", Decimal(-500)),
        ),
        usd={"Earn": Decimal(21000), "CryptoLoans": Decimal(-500)},
        snapshot_timestamp=1789999990.0,
    )


def test_product_of_an_unknown_kind_keeps_the_name_of_the_exchange() -> None:
    assert read(entry("SomethingNew", "2.5", coinDetail=coins(("ABC", "7")))) == Products(
        (ProductEquity("SomethingNew", "", "ABC", Decimal(7)),), {"SomethingNew": Decimal("2.5")}, 1790000000.0
    )


def test_coin_that_is_listed_twice_in_a_category_is_summed() -> None:
    stakes = category("On-chain", ("ETH", "1.1"), ("ETH", "0.2"))
    again = category("On-chain", ("ETH", "1e-18"))
    other = category("Easy Earn", ("ETH", "5"))
    assert [
        (each.category, each.equity) for each in read(entry("Earn", categories=[stakes, again, other])).equities
    ] == [
        ("On-chain", Decimal("1.300000000000000001")),
        ("Easy Earn", Decimal(5)),
    ]


def test_product_that_is_listed_twice_is_summed() -> None:
    found = read(
        entry("Earn", "1.5", coinDetail=coins(("BTC", "1"))), entry("Earn", "2", coinDetail=coins(("BTC", "2")))
    )
    assert (found.equities, found.usd) == ((ProductEquity("Earn", "", "BTC", Decimal(3)),), {"Earn": Decimal("3.5")})


def test_product_with_categories_does_not_count_its_coins_twice() -> None:
    both = entry("Earn", categories=[category("Easy Earn", ("BTC", "1"))], coinDetail=coins(("BTC", "1")))
    assert [each.equity for each in read(both).equities] == [1]


@pytest.mark.parametrize("currency", ["EUR", "usd", "", None])
def test_product_valued_in_another_currency_has_no_value_in_usd(currency: str | None) -> None:
    found = read(EARN | {"valuationCurrency": currency}, LOANS)
    assert (len(found.equities), found.usd) == (3, {"CryptoLoans": Decimal(-500)})


@pytest.mark.parametrize("reverse", [False, True])
def test_product_of_which_a_part_is_not_valued_in_usd_has_no_value(reverse: bool) -> None:
    entries = [EARN, EARN | {"valuationCurrency": "EUR"}]
    assert read(*(reversed(entries) if reverse else entries)).usd == {}


@pytest.mark.parametrize("empty", ["", None])
def test_product_without_a_total_has_no_value_rather_than_0(empty: str | None) -> None:
    assert read(EARN | {"totalEquity": empty}).usd == {}


def test_coin_without_an_amount_is_left_out_rather_than_0() -> None:
    assert [each.coin for each in read(entry("Earn", coinDetail=coins(("BTC", ""), ("ETH", "0")))).equities] == ["ETH"]


@pytest.mark.parametrize(("unit", "listed"), [("USD", 0), ("ETH", 1), ("", 1), (None, 1)])
def test_amount_in_another_unit_than_the_coin_is_left_out(unit: str | None, listed: int) -> None:
    farm = {"category": "farm", "coinDetail": [{"coin": "ETH", "equity": "7", "extMap": {"equityUnit": unit}}]}
    found = read(entry("Alpha", "7", categories=[farm]))
    assert (len(found.equities), found.usd) == (listed, {"Alpha": Decimal(7)})


@pytest.mark.parametrize("time", ["", "0", None])
def test_snapshot_without_a_time_is_not_the_oldest(time: str | None) -> None:
    assert read(EARN, LOANS | {"snapshotTime": time}).snapshot_timestamp == 1790000000.0
    assert read(LOANS | {"snapshotTime": time}).snapshot_timestamp is None


def test_snapshot_of_a_product_of_which_nothing_is_shown_does_not_count() -> None:
    empty = entry("TradingBot", None, "1700000000000", coinDetail=[])
    assert read(EARN, empty).snapshot_timestamp == 1790000000.0


@pytest.mark.parametrize(
    "result",
    [
        {"list": None},
        {"list": []},
        {"list": [{"accountType": "Earn"}]},
        {"list": [{"accountType": "Earn", "coinDetail": None, "categories": None}]},
        {"list": [{"accountType": "Earn", "categories": [{"category": "Easy Earn", "coinDetail": None}, {}]}]},
    ],
)
def test_lists_that_are_null_or_missing_in_a_product_are_empty(result: dict[str, Any]) -> None:
    assert read_products(Exchange(result).client, MAIN).result == Products((), {}, None)


def test_answer_without_a_list_is_malformed() -> None:
    error = refusal(read_products, Exchange({}))
    assert (error.reason, str(error)) == (FailureReason.MALFORMED, "result.list: missing")


def test_category_without_a_name_is_empty() -> None:
    assert [each.category for each in read(entry("Earn", categories=[category(None, ("BTC", "1"))])).equities] == [""]


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (entry("X", "much"), "totalEquity: not a finite decimal number"),
        (entry("X", coinDetail=coins(("A", "NaN"))), "coinDetail[0].equity: not a finite decimal number"),
        (
            entry("X", categories=[category("a"), category("b", ("A", "1"), ("B", "x"))]),
            "categories[1].coinDetail[1].equity: not a finite decimal number",
        ),
        (
            entry("X", coinDetail=coins(("A", "1.7e308"), ("A", "1.7e308"))),
            "coinDetail[1].equity: the result is larger than a float",
        ),
        (entry("X", time="yesterday"), "snapshotTime: not a time in milliseconds"),
        (entry("X", time="9" * 16), "snapshotTime: not a time in milliseconds"),
        (entry("X", coinDetail=[{"coin": "A"}]), "coinDetail[0].equity: missing"),
    ],
)
def test_answer_that_makes_no_sense_is_malformed(broken: dict[str, Any], problem: str) -> None:
    error = refusal(read_products, Exchange({"list": [EARN, broken]}))
    assert (error.reason, str(error)) == (FailureReason.MALFORMED, f"result.list[1].{problem}")
