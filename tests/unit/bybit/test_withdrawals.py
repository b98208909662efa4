"""The reader of withdrawals under way: pages of rows in, a sum for each coin out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bybit_exporter.bybit.paging import MAX_PAGES, PAUSE_SECONDS
from bybit_exporter.bybit.withdrawals import ENDED, PAGE_SIZE, read_withdrawals
from bybit_exporter.model import FailureReason
from bybit_exporter.sandbox.records import ENDED as ENDED_AT_THE_EXCHANGE
from bybit_exporter.sandbox.records import UNDER_WAY
from tests.unit.bybit.fake_exchange import MAIN, Exchange, refusal


def rows(*withdrawals: tuple[str, str, str], cursor: str = "") -> dict[str, Any]:
    """A page. One with a cursor is full, since a page with fewer rows than asked for is the last."""
    keys = ("coin", "amount", "status")
    fill = [("BTC", "0", "success")] * (PAGE_SIZE - len(withdrawals)) if cursor else []
    return {"rows": [dict(zip(keys, row, strict=True)) for row in (*withdrawals, *fill)], "nextPageCursor": cursor}


def test_ended_statuses_are_those_of_the_exchange() -> None:
    assert set(ENDED_AT_THE_EXCHANGE) == ENDED


@pytest.mark.parametrize("status", [*UNDER_WAY, "AWordThatNobodyHasDocumented"])
def test_withdrawal_that_has_not_ended_is_under_way(status: str) -> None:
    exchange = Exchange(rows(("USDT", "0.1", status), ("USDT", "0.2", status), ("BTC", "1e-8", status)))
    assert read_withdrawals(exchange.client, MAIN).result == {"USDT": Decimal("0.3"), "BTC": Decimal("1e-8")}


@pytest.mark.parametrize("status", ENDED_AT_THE_EXCHANGE)
def test_withdrawal_that_has_ended_is_not_under_way(status: str) -> None:
    assert read_withdrawals(Exchange(rows(("USDT", "5", status))).client, MAIN).result == {}


def test_withdrawals_are_summed_over_all_pages_with_a_pause_between_them() -> None:
    pages = [rows(("BTC", "1", "Pending"), cursor="a b&c"), rows(("BTC", "2", "Pending"), cursor="d")]
    exchange = Exchange(*pages, rows(("ETH", "3", "SecurityCheck")))
    answer = read_withdrawals(exchange.client, MAIN)
    assert answer.result == {"BTC": 3, "ETH": 3}
    query = {"withdrawType": ["2"], "limit": ["50"]}
    assert [asked for _, asked in exchange.asked] == [query, query | {"cursor": ["a b&c"]}, query | {"cursor": ["d"]}]
    assert [pause for pause in exchange.pauses if pause > 0.01] == [PAUSE_SECONDS] * 2
    assert answer.rate_limits["/v5/asset/withdraw/query-record"].remaining == 1, "as the last page said"


@pytest.mark.parametrize("page", [{"rows": None, "nextPageCursor": ""}, {"nextPageCursor": "a"}, {}])
def test_withdrawals_without_rows_are_none(page: dict[str, Any]) -> None:
    exchange = Exchange(page)
    assert read_withdrawals(exchange.client, MAIN).result == {}
    assert len(exchange.asked) == 1


@pytest.mark.parametrize(("count", "requests"), [(1, 1), (PAGE_SIZE - 1, 1), (PAGE_SIZE, 2)])
def test_withdrawals_page_with_fewer_rows_than_asked_for_is_the_last(count: int, requests: int) -> None:
    first = {**rows(*[("BTC", "1", "Pending")] * count), "nextPageCursor": "a"}
    exchange = Exchange(first, rows(("BTC", "1", "Pending")))
    assert read_withdrawals(exchange.client, MAIN).result == {"BTC": count + requests - 1}
    assert len(exchange.asked) == requests


def test_amount_that_is_no_number_is_malformed_even_of_an_ended_withdrawal() -> None:
    error = refusal(read_withdrawals, Exchange(rows(("BTC", "1", "Pending"), ("BTC", "much", "success"))))
    assert error.reason is FailureReason.MALFORMED
    assert str(error) == "result.rows[1].amount: not a finite decimal number"


def test_sum_beyond_a_float_is_malformed() -> None:
    error = refusal(read_withdrawals, Exchange(rows(("BTC", "1.7e308", "Pending"), ("BTC", "1.7e308", "Pending"))))
    assert (error.reason, str(error)) == ("malformed", "result.rows[1].amount: the result is larger than a float")


def test_pages_that_repeat_are_malformed() -> None:
    exchange = Exchange(rows(cursor="a"), rows(cursor="b"), rows(cursor="a"))
    assert refusal(read_withdrawals, exchange).reason is FailureReason.MALFORMED
    assert len(exchange.asked) == 3


def test_pages_without_end_are_malformed() -> None:
    exchange = Exchange(*(rows(cursor=f"cursor-{number}") for number in range(2 * MAX_PAGES)))
    assert refusal(read_withdrawals, exchange).reason is FailureReason.MALFORMED
    assert len(exchange.asked) == MAX_PAGES


@pytest.mark.parametrize("end", [{}, {"nextPageCursor": None}, {"nextPageCursor": ""}, {"nextPageCursor": "0"}])
def test_last_page_has_no_cursor(end: dict[str, Any]) -> None:
    exchange = Exchange(rows(("BTC", "1", "Pending"), cursor="a"), {"rows": [], **end})
    assert read_withdrawals(exchange.client, MAIN).result == {"BTC": 1}
    assert len(exchange.asked) == 2


def test_failed_page_fails_the_whole() -> None:
    exchange = Exchange(rows(("BTC", "1", "Pending"), cursor="a"), b'{"retCode": 10001, "retMsg": "no"}')
    assert refusal(read_withdrawals, exchange).reason is FailureReason.REQUEST
