"""Limits, faults and refusals of each endpoint of the embedded exchange, and the prices."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bybit_exporter.sandbox import (
    ACCOUNT_INFO,
    ASSET_INFO,
    ASSET_OVERVIEW,
    COINS_BALANCE,
    KEY_INFO,
    MEMBERS_ASSETS,
    SERVER_TIME,
    SUBMEMBERS,
    TICKERS,
    WALLET_BALANCE,
    WITHDRAWABLE_AMOUNT,
    WITHDRAWALS,
    Account,
    Exchange,
    Holding,
    RateLimit,
    Refusal,
    Request,
    Ticker,
    fault_for,
    faults,
    handle,
)
from bybit_exporter.sandbox.endpoints import ROUTES
from tests.sandbox_client import ask, code, refusal
from tests.support import FakeClock

QUERIES = {
    ASSET_INFO: "accountType=SPOT",
    WALLET_BALANCE: "accountType=UNIFIED",
    COINS_BALANCE: "accountType=FUND",
    WITHDRAWALS: "withdrawType=2&limit=50",
    KEY_INFO: "",
    ACCOUNT_INFO: "",
    SUBMEMBERS: "pageSize=100",
    ASSET_OVERVIEW: "",
    MEMBERS_ASSETS: "",
    WITHDRAWABLE_AMOUNT: "coin=USDT",
}
LIMITS = {
    ASSET_INFO: (60, 60.0),
    WALLET_BALANCE: (50, 1.0),
    COINS_BALANCE: (5, 1.0),
    WITHDRAWALS: (300, 60.0),
    KEY_INFO: (10, 1.0),
    ACCOUNT_INFO: (50, 1.0),
    SUBMEMBERS: (5, 1.0),
    ASSET_OVERVIEW: (50, 1.0),
    MEMBERS_ASSETS: (50, 1.0),
    WITHDRAWABLE_AMOUNT: (300, 1.0),
}
"""The documented limits, independent of the code under test."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def exchange(clock: FakeClock) -> Exchange:
    return Exchange(clock)


@pytest.fixture
def account(exchange: Exchange) -> Account:
    return exchange.add_account("main", {"ETH": Holding("1")}, unified={})


def served_by(account: Account, path: str) -> int:
    account.mode = "classic" if path == ASSET_INFO else "unified"
    return refusal(account, path, QUERIES[path])


# --- limits


def test_table_of_queries_has_every_endpoint() -> None:
    assert {*QUERIES, TICKERS, SERVER_TIME} == set(ROUTES)


@pytest.mark.parametrize("path", LIMITS)
def test_limit_of_an_endpoint_is_the_documented_one(
    path: str, clock: FakeClock, exchange: Exchange, account: Account
) -> None:
    requests, seconds = LIMITS[path]
    start = clock.now
    assert [served_by(account, path) for _ in range(requests)] == [0] * requests
    clock.now = start + seconds - 0.001
    response = ask(account, path, QUERIES[path])
    assert (code(response), response.headers["X-Bapi-Limit"]) == (10006, str(requests))
    assert exchange.exceeded == {("main", path): 1}
    assert all(served_by(account, other) == 0 for other in LIMITS if other != path)
    clock.now = start + seconds
    assert served_by(account, path) == 0


def test_limit_counts_each_uid_alone(exchange: Exchange, account: Account) -> None:
    other = exchange.add_account("other", unified={})
    assert [served_by(account, COINS_BALANCE) for _ in range(6)][-1] == 10006
    assert served_by(other, COINS_BALANCE) == 0


def test_limit_of_an_address_allows_thousands_of_accounts(clock: FakeClock, exchange: Exchange) -> None:
    """120 requests a second and address is what each may make; the 601st within five seconds is one too many."""
    accounts = [exchange.add_account(f"a{number}", unified={}) for number in range(2400)]
    for number, account in enumerate(accounts):
        assert refusal(account, WALLET_BALANCE, "accountType=UNIFIED", f"127.0.0.{number % 4 + 1}") == 0
    assert exchange.exceeded == {}
    request = Request("GET", SERVER_TIME, source="127.0.0.2")
    assert handle(exchange, request).status == 403
    assert exchange.exceeded == {("127.0.0.2", SERVER_TIME): 1}
    assert handle(exchange, Request("GET", SERVER_TIME, source="127.0.0.5")).status == 200
    clock.now += 5
    shut_out = [handle(exchange, Request("GET", SERVER_TIME, source=f"127.0.0.{n}")).status for n in range(1, 5)]
    assert shut_out == [200, 403, 200, 200]


def test_refusals_are_counted_by_account_path_and_code(exchange: Exchange, account: Account) -> None:
    assert refusal(account, WITHDRAWALS, "limit=0") == 10001
    account.limit = RateLimit(0, 60.0)
    for _ in range(2):
        assert served_by(account, KEY_INFO) == 10006
    handle(exchange, Request("GET", KEY_INFO, source="127.0.0.9"))
    assert exchange.refused == {
        ("main", WITHDRAWALS, 10001): 1,
        ("main", KEY_INFO, 10006): 2,
        ("127.0.0.9", KEY_INFO, 10001): 1,
    }
    assert exchange.exceeded == {("main", KEY_INFO): 2}


def test_refusal_set_by_a_test_is_not_counted_as_exceeded(exchange: Exchange, account: Account) -> None:
    account.refusal = Refusal(10006)
    assert served_by(account, KEY_INFO) == 10006
    assert exchange.exceeded == {}


# --- one endpoint that fails


def test_refusal_of_one_path_does_not_affect_others(account: Account) -> None:
    account.refusals[WITHDRAWALS] = Refusal(10005)
    assert served_by(account, WITHDRAWALS) == 10005
    assert all(served_by(account, path) == 0 for path in QUERIES if path != WITHDRAWALS)
    account.refusal = Refusal(10027)
    assert (served_by(account, WITHDRAWALS), served_by(account, KEY_INFO)) == (10005, 10027)
    account.refusal = None
    del account.refusals[WITHDRAWALS]
    assert served_by(account, WITHDRAWALS) == 0


@pytest.mark.parametrize("retcode", [429, 10404, 10429, 131202, 131207])
def test_refusal_with_a_retcode_has_http_status_200(retcode: int, account: Account) -> None:
    account.refusals[KEY_INFO] = Refusal(retcode)
    response = ask(account, KEY_INFO)
    assert (response.status, code(response)) == (200, retcode)
    assert json.loads(response.body)["retMsg"]


def test_fault_of_one_path_has_priority(exchange: Exchange, account: Account) -> None:
    one, own, public, everywhere = faults.Reset(), faults.Hang(), faults.Cut(), faults.nested()
    key = {"x-bapi-api-key": account.api_key}

    def found(path: str) -> Any:
        return fault_for(exchange, Request("GET", path, headers=key))

    account.faults[WITHDRAWALS] = one
    assert (found(WITHDRAWALS), found(KEY_INFO)) == (one, None)
    exchange.fault, exchange.faults[TICKERS] = everywhere, public
    assert (found(WITHDRAWALS), found(KEY_INFO), found(TICKERS)) == (one, everywhere, public)
    account.fault = own
    assert (found(WITHDRAWALS), found(KEY_INFO)) == (one, own)
    assert fault_for(exchange, Request("GET", TICKERS)) is public


# --- prices


def prices(exchange: Exchange, query: str = "category=spot") -> Any:
    envelope = json.loads(handle(exchange, Request("GET", TICKERS, query)).body)
    assert envelope["retCode"] == 0, envelope
    assert envelope["result"]["category"] in query
    return envelope["result"]["list"]


def test_ticker_has_every_documented_field(exchange: Exchange) -> None:
    bitcoin = Ticker("20533.13", "20784.12009279", "20517.96", "20527.77", "20393.48", "10")
    exchange.tickers.update({"BTCUSDT": bitcoin, "ETHBTC": Ticker("0.05")})
    assert prices(exchange) == [
        {
            "symbol": "BTCUSDT",
            "bid1Price": "20517.96",
            "bid1Size": "1",
            "ask1Price": "20527.77",
            "ask1Size": "1",
            "lastPrice": "20533.13",
            "prevPrice24h": "20393.48",
            "price24hPcnt": "0.0068",
            "highPrice24h": "20533.13",
            "lowPrice24h": "20393.48",
            "turnover24h": "205331.30",
            "volume24h": "10",
            "usdIndexPrice": "20784.12009279",
        },
        {
            "symbol": "ETHBTC",
            "bid1Price": "0.05",
            "bid1Size": "1",
            "ask1Price": "0.05",
            "ask1Size": "1",
            "lastPrice": "0.05",
            "prevPrice24h": "0.05",
            "price24hPcnt": "0",
            "highPrice24h": "0.05",
            "lowPrice24h": "0.05",
            "turnover24h": "50.00",
            "volume24h": "1000",
            "usdIndexPrice": "",
        },
    ]


def test_tickers_of_one_symbol_and_of_other_markets(exchange: Exchange) -> None:
    exchange.tickers.update({"BTCUSDT": Ticker("1"), "ETHUSDT": Ticker("2")})
    assert [pair["symbol"] for pair in prices(exchange, "category=spot&symbol=ETHUSDT")] == ["ETHUSDT"]
    assert prices(exchange, "category=linear") == []
    exchange.tickers.update({"BTCUSDT": None})
    assert [pair["symbol"] for pair in prices(exchange)] == ["ETHUSDT"]


@pytest.mark.parametrize("query", ["", "category=stocks", "category=spot&symbol=NOPEUSDT", "category=linear&symbol=X"])
def test_tickers_with_bad_parameters_are_refused(query: str, exchange: Exchange) -> None:
    assert code(handle(exchange, Request("GET", TICKERS, query))) == 10001


def test_tickers_served_are_kept_and_follow_the_behaviour(clock: FakeClock, exchange: Exchange) -> None:
    def move(it: Exchange, now: float) -> None:
        it.tickers.update({"BTCUSDT": Ticker(str(int(now)))})

    exchange.behaviour = move
    for _ in range(2):
        prices(exchange)
        clock.now += 1
    assert [rows["BTCUSDT"].last_price for rows in exchange.tickers.served] == ["1700000000", "1700000001"]
