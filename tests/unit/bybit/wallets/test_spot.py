"""The spot wallet through HTTP: the request, and the snapshot or failure of each answer.

No sockets: `responses` replaces the exchange below the exporter's transport.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
import responses

from bybit_exporter.bybit.client import Answer, Client
from bybit_exporter.bybit.errors import BybitError
from bybit_exporter.bybit.rate_limiter import RateLimiter
from bybit_exporter.bybit.server_clock import ServerClock
from bybit_exporter.bybit.transport import Transport
from bybit_exporter.bybit.wallets import read_wallet
from bybit_exporter.model import (
    Account,
    AccountSnapshot,
    AccountStatus,
    AccountType,
    Balance,
    FailureReason,
    RateLimit,
    Secret,
)
from tests.builders import make_account
from tests.support import bybit_headers

BASE_URL = "https://exchange.invalid"
PATH = "/v5/asset/transfer/query-asset-info"
KEY, SECRET = "the-key", "the-secret"
ETH = {"coin": "ETH", "frozen": "0", "free": "11.53485", "withdraw": ""}
LIMIT_HEADERS = {"X-Bapi-Limit": "60", "X-Bapi-Limit-Status": "59", "X-Bapi-Limit-Reset-Timestamp": "1672136539127"}


@pytest.fixture
def exchange() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def client() -> Client:
    transport = Transport(BASE_URL, timeout_seconds=5.0, connections=1)
    return Client(transport, ServerClock(5.0), RateLimiter(1e6), recv_window_seconds=5.0)


def account(*coins: str) -> Account:
    return make_account(coins=coins or None, api_key=Secret(KEY), api_secret=Secret(SECRET))


def envelope(*assets: Any, status: str = "ACCOUNT_STATUS_NORMAL", **changes: Any) -> dict[str, Any]:
    result = {"spot": {"status": status, "assets": list(assets)}}
    return {"retCode": 0, "retMsg": "success", "result": result, "retExtInfo": {}, "time": 1672136539127, **changes}


def read(client: Client, exchange: responses.RequestsMock, body: Any, *coins: str) -> Answer[AccountSnapshot]:
    exchange.get(BASE_URL + PATH, json=body, headers=LIMIT_HEADERS)
    return read_wallet(client, account(*coins), AccountType.SPOT)


def refusal(client: Client, exchange: responses.RequestsMock, body: Any, *coins: str) -> BybitError:
    with pytest.raises(BybitError) as caught:
        read(client, exchange, body, *coins)
    return caught.value


@pytest.mark.parametrize(
    ("coins", "query"),
    [
        ((), "accountType=SPOT"),
        (("ETH",), "accountType=SPOT&coin=ETH"),
        (("ETH", "BTC"), "accountType=SPOT"),
        (tuple(f"C{n}" for n in range(200)), "accountType=SPOT"),
    ],
)
def test_spot_wallet_of_any_number_of_coins_is_one_signed_request(
    client: Client, exchange: responses.RequestsMock, coins: tuple[str, ...], query: str
) -> None:
    read(client, exchange, envelope(ETH), *coins)
    assert len(exchange.calls) == 1
    request = exchange.calls[0].request
    assert (request.method, urlsplit(request.url).query, request.body) == ("GET", query, None)
    assert "Content-Length" not in request.headers
    assert "Content-Type" not in request.headers
    stamp = int(request.headers["X-BAPI-TIMESTAMP"])
    expected = bybit_headers(KEY, SECRET, urlsplit(str(request.url)).query, stamp / 1000)
    assert {name: request.headers[name] for name in expected} == expected


def test_documented_answer_becomes_a_snapshot(client: Client, exchange: responses.RequestsMock) -> None:
    reading = read(client, exchange, envelope(ETH), "ETH")
    assert reading.result.status is AccountStatus.NORMAL
    assert reading.result.balances == (Balance("ETH", Decimal("11.53485"), Decimal(0), Decimal(0)),)
    assert reading.result.unlisted_coins == ()
    assert reading.rate_limits == {PATH: RateLimit(60, 59)}


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("ACCOUNT_STATUS_NORMAL", AccountStatus.NORMAL),
        ("ACCOUNT_STATUS_UNSPECIFIED", AccountStatus.BANNED),
        ("ACCOUNT_STATUS_FROZEN", AccountStatus.UNKNOWN),
        ("account_status_normal", AccountStatus.UNKNOWN),
        ("", AccountStatus.UNKNOWN),
    ],
)
def test_status_is_translated_and_kept_as_stated(
    client: Client, exchange: responses.RequestsMock, word: str, status: AccountStatus
) -> None:
    snapshot = read(client, exchange, envelope(ETH, status=word)).result
    assert (snapshot.status, snapshot.raw_status) == (status, word)


def test_key_in_an_undocumented_status_is_redacted(client: Client, exchange: responses.RequestsMock) -> None:
    assert read(client, exchange, envelope(ETH, status=f"FROZEN[{KEY}]")).result.raw_status == "FROZEN[***]"


def test_configured_coins_keep_their_order_and_are_0_if_not_listed(
    client: Client, exchange: responses.RequestsMock
) -> None:
    snapshot = read(client, exchange, envelope(ETH, {**ETH, "coin": "XRP"}), "USDT", "ETH").result
    assert snapshot.balances == (
        Balance("USDT", Decimal(0), Decimal(0), Decimal(0)),
        Balance("ETH", Decimal("11.53485"), Decimal(0), Decimal(0)),
    )
    assert snapshot.unlisted_coins == ("USDT",)


def test_all_listed_coins_are_read_if_none_are_configured(client: Client, exchange: responses.RequestsMock) -> None:
    snapshot = read(client, exchange, envelope({**ETH, "coin": "XRP"}, ETH)).result
    assert [balance.coin for balance in snapshot.balances] == ["XRP", "ETH"]
    assert snapshot.unlisted_coins == ()


def test_amount_of_a_coin_that_is_not_configured_is_checked_too(
    client: Client, exchange: responses.RequestsMock
) -> None:
    """After one malformed amount, the other amounts cannot be trusted either."""
    error = refusal(client, exchange, envelope(ETH, {**ETH, "coin": "XRP", "free": "NaN"}), "ETH", "BTC")
    assert str(error) == "result.spot.assets[1].free: not a finite decimal number"


@pytest.mark.parametrize("assets", [None, {}, [None], [ETH, ETH], [{**ETH, "free": "NaN"}], [{**ETH, "free": 1}]])
def test_ban_is_seen_even_if_the_coins_are_malformed(
    client: Client, exchange: responses.RequestsMock, assets: Any
) -> None:
    body = envelope(status="ACCOUNT_STATUS_UNSPECIFIED")
    body["result"]["spot"]["assets"] = assets
    error = refusal(client, exchange, body)
    assert (error.reason, error.needs_operator) == (FailureReason.BANNED, True)
    assert str(error).startswith("ACCOUNT_STATUS_UNSPECIFIED (result.spot.assets")


def test_ban_is_seen_without_coins(client: Client, exchange: responses.RequestsMock) -> None:
    body = envelope(result={"spot": {"status": "ACCOUNT_STATUS_UNSPECIFIED"}})
    error = refusal(client, exchange, body)
    assert str(error) == "ACCOUNT_STATUS_UNSPECIFIED (result.spot.assets: missing)"
    assert error.reason is FailureReason.BANNED


@pytest.mark.parametrize("message", ["OK", "success", "SUCCESS", "", None])
def test_ret_msg_of_a_success_is_ignored(client: Client, exchange: responses.RequestsMock, message: str | None) -> None:
    assert read(client, exchange, envelope(ETH, retMsg=message)).result.balances


@pytest.mark.parametrize("absent", ["retMsg", "retExtInfo", "time"])
def test_field_of_the_envelope_that_is_not_needed_may_be_absent(
    client: Client, exchange: responses.RequestsMock, absent: str
) -> None:
    body = envelope(ETH)
    del body[absent]
    assert read(client, exchange, body).result.balances


def test_unknown_fields_are_ignored(client: Client, exchange: responses.RequestsMock) -> None:
    assert read(client, exchange, envelope({**ETH, "bonus": ["1"]}, new={"a": 1})).result.balances


@pytest.mark.parametrize("field", ["coin", "free", "frozen", "withdraw"])
@pytest.mark.parametrize("value", [None, 1, 1.5, True, [], ["1"], {}])
def test_field_that_is_not_a_string_is_malformed(
    client: Client, exchange: responses.RequestsMock, field: str, value: object
) -> None:
    error = refusal(client, exchange, envelope(ETH, {**ETH, "coin": "BTC", field: value}))
    assert error.reason is FailureReason.MALFORMED
    assert str(error).startswith(f"result.spot.assets[1].{field}: ")


@pytest.mark.parametrize("field", ["coin", "free", "frozen", "withdraw"])
def test_field_that_is_missing_is_malformed(client: Client, exchange: responses.RequestsMock, field: str) -> None:
    asset = {name: value for name, value in ETH.items() if name != field}
    error = refusal(client, exchange, envelope(asset))
    assert error.reason is FailureReason.MALFORMED
    assert str(error) == f"result.spot.assets[0].{field}: missing"


NO_AMOUNTS = ["NaN", "nan", "Infinity", "-Infinity", "inf", "1e999", "-1e999", "a word", " ", "1 ", " 1", "1\n", "1,5"]
NO_AMOUNTS += ["1_000", "0x10", "1e", ".", "+", "--1", "1.2.3", "\u0663", "\uff11", "1e5.5", "9" * 400]


@pytest.mark.parametrize("text", NO_AMOUNTS)
@pytest.mark.parametrize("field", ["free", "frozen", "withdraw"])
def test_amount_that_is_not_a_finite_decimal_number_is_malformed(
    client: Client, exchange: responses.RequestsMock, field: str, text: str
) -> None:
    error = refusal(client, exchange, envelope({**ETH, field: text}))
    assert error.reason is FailureReason.MALFORMED
    assert str(error) == f"result.spot.assets[0].{field}: not a finite decimal number"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (envelope(ETH, ETH), "result.spot.assets[1].coin: listed twice"),
        (envelope({**ETH, "coin": ""}), "result.spot.assets[0].coin: "),
        (envelope(ETH, result={}), "result.spot: missing"),
        (envelope(ETH, result=None), "result: "),
        (envelope(ETH, result=[]), "result: "),
        (envelope(ETH, result={"spot": {"assets": []}}), "result.spot.status: missing"),
        (envelope(ETH, result={"spot": {"status": None, "assets": []}}), "result.spot.status: "),
        (envelope(ETH, result={"spot": {"status": "x"}}), "result.spot.assets: missing"),
        (envelope(ETH, result={"spot": {"status": "x", "assets": None}}), "result.spot.assets: "),
        (envelope(ETH, result={"spot": {"status": "x", "assets": {}}}), "result.spot.assets: "),
        (envelope("ETH"), "result.spot.assets[0]: "),
        ({"result": {}}, "retCode: missing"),
        (envelope(ETH, retCode="0"), "retCode: "),
        (envelope(ETH, retCode=0.5), "retCode: "),
        (envelope(ETH, retCode=None), "retCode: "),
        (envelope(ETH, time="soon"), "time: "),
        ([], "the answer: "),
        ("a text", "the answer: "),
    ],
)
def test_malformed_answer_is_refused_with_the_path_of_the_field(
    client: Client, exchange: responses.RequestsMock, body: Any, message: str
) -> None:
    error = refusal(client, exchange, body)
    assert error.reason is FailureReason.MALFORMED
    assert str(error).startswith(message)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"<html>", b"\xff", b'{"retCode": NaN}', b'{"retCode":0,"result":"\\ud800"}', b"{}{}", b"null"]
)
def test_answer_that_is_not_json_is_malformed(client: Client, exchange: responses.RequestsMock, body: bytes) -> None:
    exchange.get(BASE_URL + PATH, body=body)
    with pytest.raises(BybitError) as caught:
        read_wallet(client, account(), AccountType.SPOT)
    assert caught.value.reason is FailureReason.MALFORMED
