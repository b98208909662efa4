"""What is read beside the polls: withdrawals, keys, subaccounts, prices. Answers in, plain data out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import pytest

from bybit_exporter.bybit.api_key import read_api_key
from bybit_exporter.bybit.client import Client
from bybit_exporter.bybit.errors import BybitError
from bybit_exporter.bybit.paging import MAX_PAGES, PAUSE_SECONDS
from bybit_exporter.bybit.prices import QUOTES, read_prices, split_symbol
from bybit_exporter.bybit.rate_limiter import RateLimiter
from bybit_exporter.bybit.server_clock import ServerClock
from bybit_exporter.bybit.subaccounts import read_subaccount_balances, read_subaccounts
from bybit_exporter.bybit.transport import Response, Transport
from bybit_exporter.bybit.wallets import find_account_type
from bybit_exporter.bybit.withdrawals import ENDED, PAGE_SIZE, read_withdrawals
from bybit_exporter.model import Account, AccountType, ApiKey, FailureReason, Secret, SubaccountStatus
from bybit_exporter.sandbox.records import ENDED as ENDED_AT_THE_EXCHANGE
from bybit_exporter.sandbox.records import UNDER_WAY
from tests.support import FakeClock

MAIN = Account("main", AccountType.FUND, None, Secret("CANARYKEY"), Secret("s"), 10.0, 30.0)


class Exchange(Transport):
    """Answers with these results, one after the other, and remembers what it was asked. A second passes each time."""

    def __init__(self, *results: Any) -> None:
        self.clock = FakeClock(0.0)
        self.results = list(results)
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.pauses: list[float] = []
        rate_limiter = RateLimiter(1e9, now=self.clock, sleep=self.pauses.append)
        self.client = Client(self, ServerClock(5.0), rate_limiter, recv_window_seconds=5.0)

    def get(self, path: str, query: str, headers: Mapping[str, str]) -> Response:
        self.asked.append((path, parse_qs(query)))
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        body = result if isinstance(result, bytes) else json.dumps({"retCode": 0, "result": result}).encode()
        return Response(200, {"X-Bapi-Limit": "5", "X-Bapi-Limit-Status": str(len(self.results))}, body, 0.0)


def refusal(read: Any, exchange: Exchange, *more: Any) -> BybitError:
    with pytest.raises(BybitError) as caught:
        read(exchange.client, MAIN, *more)
    return caught.value


# Withdrawals


def rows(*withdrawals: tuple[str, str, str], cursor: str = "") -> dict[str, Any]:
    """A page. One with a cursor is full, since a page with fewer rows than asked for is the last."""
    keys = ("coin", "amount", "status")
    fill = [("BTC", "0", "success")] * (PAGE_SIZE - len(withdrawals)) if cursor else []
    return {"rows": [dict(zip(keys, row, strict=True)) for row in (*withdrawals, *fill)], "nextPageCursor": cursor}


def test_the_words_for_what_has_ended_are_the_exchange_s() -> None:
    assert set(ENDED_AT_THE_EXCHANGE) == ENDED


@pytest.mark.parametrize("status", [*UNDER_WAY, "AWordThatNobodyHasDocumented"])
def test_what_has_not_ended_is_under_way(status: str) -> None:
    exchange = Exchange(rows(("USDT", "0.1", status), ("USDT", "0.2", status), ("BTC", "1e-8", status)))
    assert read_withdrawals(exchange.client, MAIN).result == {"USDT": Decimal("0.3"), "BTC": Decimal("1e-8")}


@pytest.mark.parametrize("status", ENDED_AT_THE_EXCHANGE)
def test_what_has_ended_is_not(status: str) -> None:
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


def test_an_amount_that_is_no_number_is_malformed_even_if_it_has_ended() -> None:
    error = refusal(read_withdrawals, Exchange(rows(("BTC", "1", "Pending"), ("BTC", "much", "success"))))
    assert error.reason is FailureReason.MALFORMED
    assert str(error) == 'result.rows[1].amount: not a finite decimal number: "much"'


def test_a_sum_beyond_a_float_is_malformed() -> None:
    error = refusal(read_withdrawals, Exchange(rows(("BTC", "1.7e308", "Pending"), ("BTC", "1.7e308", "Pending"))))
    assert (error.reason, str(error)) == ("malformed", "result.rows[1].amount: the result is larger than a float")


def test_pages_that_repeat_end() -> None:
    exchange = Exchange(rows(cursor="a"), rows(cursor="b"), rows(cursor="a"))
    assert refusal(read_withdrawals, exchange).reason is FailureReason.MALFORMED
    assert len(exchange.asked) == 3


def test_pages_without_end_end() -> None:
    exchange = Exchange(*(rows(cursor=f"cursor-{number}") for number in range(2 * MAX_PAGES)))
    assert refusal(read_withdrawals, exchange).reason is FailureReason.MALFORMED
    assert len(exchange.asked) == MAX_PAGES


@pytest.mark.parametrize("end", [{}, {"nextPageCursor": None}, {"nextPageCursor": ""}, {"nextPageCursor": "0"}])
def test_the_last_page_names_no_other(end: dict[str, Any]) -> None:
    exchange = Exchange(rows(("BTC", "1", "Pending"), cursor="a"), {"rows": [], **end})
    assert read_withdrawals(exchange.client, MAIN).result == {"BTC": 1}
    assert len(exchange.asked) == 2


def test_a_failed_page_fails_the_whole() -> None:
    exchange = Exchange(rows(("BTC", "1", "Pending"), cursor="a"), b'{"retCode": 10001, "retMsg": "no CANARYKEY"}')
    error = refusal(read_withdrawals, exchange)
    assert error.reason is FailureReason.REQUEST
    assert "CANARY" not in str(error)


# Keys


def key_info(**changes: Any) -> dict[str, Any]:
    return {"readOnly": 1, "ips": ["*"], "expiredAt": "2026-12-22T07:20:25Z", "deadlineDay": 28, **changes}


@pytest.mark.parametrize(
    ("result", "key"),
    [
        (key_info(), ApiKey(True, False, 1797924025.0)),
        (key_info(readOnly=0), ApiKey(False, False, 1797924025.0)),
        (key_info(ips=["192.0.2.1", "192.0.2.2"], expiredAt=""), ApiKey(True, True, None)),
        (key_info(expiredAt="1970-01-01T00:00:00Z"), ApiKey(True, False, None)),
        (key_info(ips=[]), ApiKey(True, False, 1797924025.0)),
        (key_info(ips=[""]), ApiKey(True, False, 1797924025.0)),
        (key_info(ips=None, expiredAt=None), ApiKey(True, False, None)),
        ({"readOnly": 1}, ApiKey(True, False, None)),
    ],
)
def test_what_the_exchange_says_of_a_key(result: dict[str, Any], key: ApiKey) -> None:
    assert read_api_key(Exchange(result).client, MAIN).result == key


@pytest.mark.parametrize(
    ("result", "field"),
    [
        (key_info(expiredAt="soon"), "result.expiredAt"),
        (key_info(expiredAt="9999-99-99T00:00:00Z"), "result.expiredAt"),
        (key_info(readOnly="1"), "result.readOnly"),
        (key_info(ips="*"), "result.ips"),
        ({}, "result.readOnly"),
    ],
)
def test_what_makes_no_sense_of_a_key_is_malformed(result: dict[str, Any], field: str) -> None:
    error = refusal(read_api_key, Exchange(result))
    assert error.reason is FailureReason.MALFORMED
    assert str(error).startswith(field)


@pytest.mark.parametrize(
    ("status", "found"), [(1, "SPOT"), (3, "UNIFIED"), (4, "UNIFIED"), (5, "UNIFIED"), (6, "UNIFIED")]
)
def test_the_account_type(status: int, found: str) -> None:
    assert find_account_type(Exchange({"unifiedMarginStatus": status}).client, MAIN) == found


# Subaccounts


def member(uid: str, name: str, status: int = 1) -> dict[str, Any]:
    return {"uid": uid, "username": name, "memberType": 1, "status": status, "accountMode": 5, "remark": ""}


def members(*given: dict[str, Any], cursor: str = "0") -> dict[str, Any]:
    return {"subMembers": list(given), "nextCursor": cursor}


def test_subaccounts_over_all_pages() -> None:
    first = members(member("1", "one"), member("2", "two", 2), cursor="2")
    exchange = Exchange(first, members(member("3", "three", 4), member("4", "four", 3)))
    found = read_subaccounts(exchange.client, MAIN).result
    assert [(each.uid, each.name, each.status) for each in found] == [
        ("1", "one", SubaccountStatus.NORMAL),
        ("2", "two", SubaccountStatus.LOGIN_BANNED),
        ("3", "three", SubaccountStatus.FROZEN),
        ("4", "four", SubaccountStatus.UNKNOWN),
    ]
    assert [asked for _, asked in exchange.asked] == [{"pageSize": ["100"]}, {"pageSize": ["100"], "nextCursor": ["2"]}]


def test_each_subaccount_has_a_name_of_its_own_and_stands_once() -> None:
    """Or else a series would stand twice. Who joins meanwhile moves others to the next page."""
    first = members(member("1", "same"), member("2", "same"), member("3", ""), cursor="3")
    second = members(member("3", "", 4), member("4", "other"), member("5", "1"), {**member("6", ""), "username": None})
    found = read_subaccounts(Exchange(first, second).client, MAIN).result
    assert [each.name for each in found] == ["1", "2", "3", "other", "5", "6"]
    assert found[2].status is SubaccountStatus.FROZEN, "the later answer counts"


def test_no_subaccounts() -> None:
    assert read_subaccounts(Exchange({"subMembers": None, "nextCursor": "0"}).client, MAIN).result == []


def test_what_a_subaccount_holds() -> None:
    listed = [("BTC", "1.5", "1.25"), ("ETH", "0", "0"), ("USDT", "", "")]
    balance = [{"coin": coin, "walletBalance": all_, "transferBalance": free} for coin, all_, free in listed]
    exchange = Exchange({"memberId": "7", "accountType": "FUND", "balance": balance})
    (held,) = read_subaccount_balances(exchange.client, MAIN, "7").result
    assert (held.coin, held.free, held.frozen) == ("BTC", Decimal("1.25"), Decimal("0.25"))
    ((path, query),) = exchange.asked
    assert path == "/v5/asset/transfer/query-account-coins-balance"
    assert query == {"accountType": ["FUND"], "memberId": ["7"]}


# Prices


def prices(*tickers: tuple[str, str, str]) -> Mapping[str, Decimal]:
    rows = [{"symbol": s, "lastPrice": last, "usdIndexPrice": index} for s, last, index in tickers]
    return read_prices(Exchange({"category": "spot", "list": rows}).client).result


def test_the_index_price_counts_and_else_the_latest_in_usdt() -> None:
    found = prices(
        ("BTCUSDT", "64000", "63950.5"), ("XRPUSDT", "0.52", ""), ("ETHBTC", "0.05", ""), ("SOLEUR", "140", "")
    )
    assert found == {"BTC": Decimal("63950.5"), "XRP": Decimal("0.52")}


def test_usdt_has_its_own_index_price_where_there_is_one() -> None:
    assert prices(("BTCUSDT", "1", "")) == {"BTC": 1}
    assert prices(("USDTEUR", "0.92", "0.9995"), ("USDTBRL", "5.5", "0.9994"))["USDT"] == Decimal("0.9995")


def test_the_order_of_the_pairs_does_not_matter() -> None:
    rows = [("BTCEUR", "59000", "63940"), ("BTCUSDT", "64000", "63950"), ("BTCUSDC", "64000", "63945")]
    assert prices(*rows) == prices(*reversed(rows)) == {"BTC": 63950}
    rows = [("ABCUSDT", "2", ""), ("ABCEUR", "1.9", "2.05")]
    assert prices(*rows) == prices(*reversed(rows)) == {"ABC": Decimal("2.05")}


def test_no_coin_has_the_price_of_another() -> None:
    assert prices(("AVAXUSD", "30", "31"), ("AVAXUSDT", "30", ""), ("AVAUSDT", "0.5", "")) == {
        "AVAX": 30,
        "AVA": Decimal("0.5"),
    }


def test_a_price_of_nothing_is_none() -> None:
    assert prices(("ABCUSDT", "0", "0"), ("DEFUSDT", "", ""), ("GHIUSDT", "-1", "")) == {}


def test_a_price_that_is_no_number_makes_the_whole_malformed() -> None:
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
def test_where_the_coin_ends(symbol: str, coin: str, quote: str) -> None:
    assert split_symbol(symbol) == (coin, quote)


def test_quotes_stand_once() -> None:
    assert len(set(QUOTES)) == len(QUOTES)
