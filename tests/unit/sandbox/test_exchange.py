"""The embedded exchange's rules, compared with Bybit's documentation, without sockets."""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from bybit_exporter.sandbox import (
    ASSET_INFO,
    SERVER_TIME,
    UNLIMITED,
    Account,
    Exchange,
    Holding,
    Limits,
    RateLimit,
    Refusal,
    Request,
    Response,
    handle,
)
from tests.support import FakeClock, bybit_headers

KEY, SECRET = "key-of-main", "secret-of-main"
ALL_COINS = "accountType=SPOT"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def exchange(clock: FakeClock) -> Exchange:
    return Exchange(clock)


@pytest.fixture
def account(exchange: Exchange) -> Account:
    holdings = {"ETH": Holding("11.53485"), "BTC": Holding("0.5", "0.25", "0.125")}
    return exchange.add_account("main", holdings, api_key=KEY, api_secret=SECRET)


def signed(clock: FakeClock, query: str = ALL_COINS, key: str = KEY, secret: str = SECRET, **more: Any) -> Request:
    path, ahead = more.pop("path", ASSET_INFO), more.pop("ahead", 0.0)
    headers = bybit_headers(key, secret, query, clock.now + ahead, more.pop("recv_window", "5000"))
    return Request("GET", path, query, {name.lower(): value for name, value in headers.items()}, **more)


def parsed(response: Response) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(response.body)
    return answer


def code(response: Response) -> int:
    return int(parsed(response)["retCode"])


def without(request: Request, header: str) -> Request:
    return replace(request, headers={k: v for k, v in request.headers.items() if k != header})


def with_header(request: Request, header: str, value: str) -> Request:
    return replace(request, headers={**request.headers, header: value})


# --- answers


def test_spot_assets_of_one_coin_are_the_documented_answer(
    clock: FakeClock, exchange: Exchange, account: Account
) -> None:
    response = handle(exchange, signed(clock, "accountType=SPOT&coin=ETH"))
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("application/json")
    assert parsed(response) == {
        "retCode": 0,
        "retMsg": "success",
        "result": {
            "spot": {
                "status": "ACCOUNT_STATUS_NORMAL",
                "assets": [{"coin": "ETH", "frozen": "0", "free": "11.53485", "withdraw": ""}],
            }
        },
        "retExtInfo": {},
        "time": 1_700_000_000_000,
    }


def test_spot_assets_without_a_coin_list_all_coins(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    assets = parsed(handle(exchange, signed(clock)))["result"]["spot"]["assets"]
    assert [asset["coin"] for asset in assets] == ["ETH", "BTC"]
    assert assets[1] == {"coin": "BTC", "frozen": "0.25", "free": "0.5", "withdraw": "0.125"}


def test_spot_assets_of_a_coin_not_held_are_empty(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    response = handle(exchange, signed(clock, "accountType=SPOT&coin=DOGE"))
    assert parsed(response)["result"]["spot"]["assets"] == []


def test_account_status_can_be_any_word(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    account.status = "ACCOUNT_STATUS_OF_TOMORROW"
    assert parsed(handle(exchange, signed(clock)))["result"]["spot"]["status"] == "ACCOUNT_STATUS_OF_TOMORROW"


def test_server_time_needs_no_key(exchange: Exchange) -> None:
    answer = parsed(handle(exchange, Request("GET", SERVER_TIME)))
    assert answer["retCode"] == 0
    assert answer["result"] == {"timeSecond": "1700000000", "timeNano": "1700000000000000000"}
    assert answer["time"] == 1_700_000_000_000


# --- the signature


def test_signed_text_is_that_of_the_worked_example() -> None:
    exchange = Exchange(FakeClock(1658384314.791))
    account = exchange.add_account("worked", api_key="XXXXXXXXXX", api_secret="s")
    seen: list[tuple[str, str]] = []

    def verify(text: str, signature: str) -> bool:
        seen.append((text, signature))
        return True

    account.verify = verify
    headers = {
        "x-bapi-api-key": "XXXXXXXXXX",
        "x-bapi-timestamp": "1658384314791",
        "x-bapi-recv-window": "5000",
        "x-bapi-sign": "whatever",
    }
    handle(exchange, Request("GET", ASSET_INFO, "category=option&symbol=BTC-29JUL22-25000-C", headers))
    text = "1658384314791XXXXXXXXXX5000category=option&symbol=BTC-29JUL22-25000-C"
    assert seen == [(text, "whatever")]


def test_signature_known_from_another_source_is_accepted() -> None:
    """Made with ``printf %s TEXT | openssl dgst -sha256 -hmac secret``."""
    exchange = Exchange(FakeClock(1658384314.791))
    exchange.add_account("worked", api_key="XXXXXXXXXX", api_secret="secret")
    headers = {
        "x-bapi-api-key": "XXXXXXXXXX",
        "x-bapi-timestamp": "1658384314791",
        "x-bapi-recv-window": "5000",
        "x-bapi-sign": "024b4db74086bba8869b924a5b53e5f7d9b1fc536d16e8f32ea119c44608c8c9",
    }
    response = handle(exchange, Request("GET", ASSET_INFO, "accountType=SPOT&coin=ETH", headers))
    assert code(response) == 0


@pytest.mark.parametrize(
    "sent",
    [
        "coin=ETH&accountType=SPOT",
        "accountType=SPOT&coin=ETH&",
        "accountType=SPOT&coin=%45TH",
        "accountType=SPOT&coin=BTC",
        "",
    ],
)
def test_signature_of_a_different_query_is_refused(
    sent: str, clock: FakeClock, exchange: Exchange, account: Account
) -> None:
    response = handle(exchange, replace(signed(clock, "accountType=SPOT&coin=ETH"), query=sent))
    assert code(response) == 10004
    assert parsed(response)["result"] == {}


def test_signature_of_an_escaped_query_is_accepted(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    response = handle(exchange, signed(clock, "coin=%45TH&accountType=SPOT"))
    assert parsed(response)["result"]["spot"]["assets"][0]["coin"] == "ETH"


@pytest.mark.parametrize("damage", [str.upper, lambda sign: sign[:-1], lambda sign: "é" + sign[1:]])
def test_signature_with_one_difference_is_refused(
    damage: Any, clock: FakeClock, exchange: Exchange, account: Account
) -> None:
    request = signed(clock)
    damaged = with_header(request, "x-bapi-sign", damage(request.headers["x-bapi-sign"]))
    assert code(handle(exchange, damaged)) == 10004


def test_recv_window_left_out_is_five_seconds(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    def asked(ahead: float) -> int:
        request = signed(clock, recv_window="", ahead=ahead)
        return code(handle(exchange, without(request, "x-bapi-recv-window")))

    assert asked(-5.0) == 0
    assert asked(-5.001) == 10002


# --- what is refused, and in which order


@pytest.mark.parametrize("header", ["x-bapi-api-key", "x-bapi-timestamp", "x-bapi-sign"])
def test_request_without_credentials_is_401(
    header: str, clock: FakeClock, exchange: Exchange, account: Account
) -> None:
    response = handle(exchange, without(signed(clock), header))
    assert (response.status, code(response)) == (401, 10001)


@pytest.mark.parametrize("header", ["x-bapi-timestamp", "x-bapi-recv-window"])
@pytest.mark.parametrize("value", ["soon", "-1", "1.5", "9" * 20, "\u0661"])
def test_header_that_is_not_a_number_is_a_parameter_error(
    header: str, value: str, clock: FakeClock, exchange: Exchange, account: Account
) -> None:
    assert code(handle(exchange, with_header(signed(clock), header, value))) == 10001


def test_unknown_key_is_refused(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    response = handle(exchange, signed(clock, key="unknown"))
    assert (response.status, code(response)) == (200, 10003)
    assert parsed(response)["retMsg"] == "API key is invalid."


def test_wrong_secret_is_refused(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    response = handle(exchange, signed(clock, secret="guess"))
    assert (response.status, code(response)) == (200, 10004)


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [(-5.000, 0), (-5.001, 10002), (0.999, 0), (1.000, 10002)],
)
def test_timestamp_at_the_edges_of_the_window_is_exact(
    ahead: float, expected: int, clock: FakeClock, exchange: Exchange, account: Account
) -> None:
    assert code(handle(exchange, signed(clock, ahead=ahead))) == expected


def test_recv_window_that_is_wider_is_used(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    assert code(handle(exchange, signed(clock, ahead=-20.0, recv_window="20000"))) == 0
    assert code(handle(exchange, signed(clock, ahead=-20.001, recv_window="20000"))) == 10002


def test_refusal_of_a_timestamp_states_both_times(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    message = parsed(handle(exchange, signed(clock, ahead=30.0)))["retMsg"]
    assert "req_timestamp[1700000030000],server_timestamp[1700000000000],recv_window[5000]" in message


@pytest.mark.parametrize(
    "query",
    [
        "",
        "coin=ETH",
        "accountType=FUND&coin=ETH",
        "accountType=spot",
        "accountType=SPOT&coin=eth",
        "accountType=SPOT&coin=ETH,BTC",
        "accountType=SPOT&coin=ETH%20",
    ],
)
def test_spot_assets_with_bad_parameters_are_refused(
    query: str, clock: FakeClock, exchange: Exchange, account: Account
) -> None:
    response = handle(exchange, signed(clock, query))
    assert (response.status, code(response)) == (200, 10001)


def test_get_with_a_body_is_forbidden(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    assert handle(exchange, signed(clock, body=b"{}")).status == 403


@pytest.mark.parametrize(("method", "path"), [("GET", "/v5/nowhere"), ("GET", "/"), ("POST", ASSET_INFO)])
def test_unknown_route_is_404(method: str, path: str, exchange: Exchange) -> None:
    response = handle(exchange, Request(method, path))
    assert (response.status, code(response)) == (404, 10017)


def test_checks_run_in_the_documented_order(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    """Each request is wrong in every later way too."""
    exchange.limits = Limits(uid=RateLimit(0, 60.0), ip=None)
    late = signed(clock, "accountType=FUND", secret="guess", key="unknown", ahead=-60.0)
    assert code(handle(exchange, with_header(late, "x-bapi-timestamp", "soon"))) == 10001
    assert code(handle(exchange, late)) == 10003
    assert code(handle(exchange, signed(clock, "accountType=FUND", secret="guess", ahead=-60.0))) == 10004
    assert code(handle(exchange, signed(clock, "accountType=FUND", ahead=-60.0))) == 10002
    assert code(handle(exchange, signed(clock, "accountType=FUND"))) == 10006
    account.limit, account.refusal, account.mode = RateLimit(60, 60.0), Refusal(10027), "unified"
    assert code(handle(exchange, signed(clock, "accountType=FUND"))) == 10027
    account.refusal = None
    assert code(handle(exchange, signed(clock, "accountType=FUND"))) == 10008
    account.mode = "classic"
    assert code(handle(exchange, signed(clock, "accountType=FUND"))) == 10001


@pytest.mark.parametrize("mode_code", [10008, 100028])
def test_spot_assets_of_a_unified_account_are_refused(
    mode_code: int, clock: FakeClock, exchange: Exchange, account: Account
) -> None:
    account.mode, account.mode_code = "unified", mode_code
    assert code(handle(exchange, signed(clock))) == mode_code


def test_account_with_a_refusal_is_refused_everything(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    account.refusal = Refusal(10027)
    assert code(handle(exchange, signed(clock))) == 10027
    account.refusal = None
    assert code(handle(exchange, signed(clock))) == 0


def test_rotated_key_replaces_the_old_one(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    exchange.rotate_key(account, "new-key", "new-secret")
    assert code(handle(exchange, signed(clock))) == 10003
    assert code(handle(exchange, signed(clock, key="new-key", secret="new-secret"))) == 0


def test_key_or_name_used_twice_is_an_error(exchange: Exchange, account: Account) -> None:
    with pytest.raises(ValueError, match="exists already"):
        exchange.add_account("other", api_key=KEY)
    with pytest.raises(ValueError, match="exists already"):
        exchange.add_account("main")


# --- the clock


@pytest.mark.parametrize("skew", [30.0, -30.0])
def test_skewed_clock_is_used_for_every_time(
    skew: float, clock: FakeClock, exchange: Exchange, account: Account
) -> None:
    exchange.clock_skew = skew
    assert code(handle(exchange, signed(clock))) == 10002
    answer = handle(exchange, signed(clock, ahead=skew))
    expected = 1_700_000_000_000 + int(skew * 1000)
    assert parsed(answer)["time"] == expected
    assert answer.headers["X-Bapi-Limit-Reset-Timestamp"] == str(expected)
    stated = parsed(handle(exchange, Request("GET", SERVER_TIME)))
    assert stated["result"]["timeSecond"] == str(expected // 1000)


def test_reset_timestamp_follows_the_skewed_clock(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    account.limit, exchange.clock_skew = RateLimit(1, 60.0), -30.0
    for _ in range(2):
        response = handle(exchange, signed(clock, ahead=-30.0))
    assert code(response) == 10006
    assert response.headers["X-Bapi-Limit-Reset-Timestamp"] == "1700000030000"


# --- limits


def test_limit_of_sixty_a_minute_is_a_rolling_window(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    """30 at once, 30 more half a minute later: the first thirty return after a minute."""
    start = clock.now
    for at, left in [(start, 30), (start + 30, 0)]:
        clock.now = at
        for _ in range(30):
            response = handle(exchange, signed(clock))
            assert code(response) == 0
        assert response.headers["X-Bapi-Limit"] == "60"
        assert response.headers["X-Bapi-Limit-Status"] == str(left)
        assert response.headers["X-Bapi-Limit-Reset-Timestamp"] == str(int(clock.now * 1000))
    clock.now = start + 59.999
    refused = handle(exchange, signed(clock))
    assert (code(refused), parsed(refused)["retMsg"]) == (10006, "Too many visits!")
    assert refused.headers["X-Bapi-Limit-Status"] == "0"
    assert refused.headers["X-Bapi-Limit-Reset-Timestamp"] == str(int((start + 60) * 1000))
    clock.now = start + 60
    response = handle(exchange, signed(clock))
    assert (code(response), response.headers["X-Bapi-Limit-Status"]) == (0, "29")


def test_refused_requests_do_not_count(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    account.limit = RateLimit(1, 60.0)
    handle(exchange, signed(clock))
    for _ in range(59):
        clock.now += 1
        assert code(handle(exchange, signed(clock))) == 10006
    clock.now += 1
    assert code(handle(exchange, signed(clock))) == 0


def test_requests_are_handled_one_at_a_time(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    """So limits and counts are exact with any number of threads, and a behaviour needs no lock."""
    codes: list[int] = []
    inside: list[int] = []
    crowded: list[int] = []

    def behaviour(_: Account, __: float) -> None:
        inside.append(1)
        time.sleep(0.001)
        crowded.append(len(inside))
        inside.pop()

    def ask() -> None:
        codes.extend(code(handle(exchange, signed(clock))) for _ in range(10))

    account.behaviour = behaviour
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(crowded) == {1}
    assert (codes.count(0), codes.count(10006), account.request_count) == (60, 20, 80)


def test_limit_is_shared_by_the_keys_of_a_uid(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    account.limit = RateLimit(1, 60.0)
    handle(exchange, signed(clock))
    exchange.add_account("other", api_key="other", api_secret="other")
    bot = exchange.add_account("bot", api_key="bot", api_secret="bot", uid=account.uid)
    bot.limit = account.limit
    assert code(handle(exchange, signed(clock, key="other", secret="other"))) == 0
    assert code(handle(exchange, signed(clock, key="bot", secret="bot"))) == 10006


def test_request_with_a_wrong_signature_does_not_count(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    for _ in range(3):
        response = handle(exchange, signed(clock, secret="guess"))
        assert response.headers["X-Bapi-Limit-Status"] == "60"
    assert handle(exchange, signed(clock)).headers["X-Bapi-Limit-Status"] == "59"


def test_answer_to_a_known_key_has_limit_headers(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    requests = [signed(clock), signed(clock, ""), signed(clock, ahead=60.0), signed(clock, secret="guess")]
    for request in requests:
        headers = handle(exchange, request).headers
        assert headers["X-Bapi-Limit"] == "60"
        assert {"X-Bapi-Limit-Status", "X-Bapi-Limit-Reset-Timestamp"} <= headers.keys()


def test_address_over_its_limit_is_banned_for_ten_minutes(
    clock: FakeClock, exchange: Exchange, account: Account
) -> None:
    for _ in range(600):
        assert handle(exchange, Request("GET", SERVER_TIME)).status == 200
    refused = handle(exchange, Request("GET", SERVER_TIME))
    assert (refused.status, refused.body) == (403, b"access too frequent")
    assert handle(exchange, Request("GET", SERVER_TIME, source="127.0.0.2")).status == 200
    clock.now += 599.999
    assert handle(exchange, signed(clock)).status == 403, "the ban is over before its time"
    clock.now += 599.999
    assert handle(exchange, signed(clock)).status == 403, "asking during the ban does not prolong it"
    clock.now += 600
    assert handle(exchange, signed(clock)).status == 200


def test_limit_of_an_address_is_a_rolling_window_of_five_seconds(clock: FakeClock, exchange: Exchange) -> None:
    for _ in range(10):
        for _ in range(300):
            assert handle(exchange, Request("GET", SERVER_TIME)).status == 200
        clock.now += 2.5


def test_unlimited_exchange_refuses_nothing(clock: FakeClock) -> None:
    exchange = Exchange(clock, limits=UNLIMITED)
    exchange.add_account("main", api_key=KEY, api_secret=SECRET)
    assert all(code(handle(exchange, signed(clock))) == 0 for _ in range(1000))


# --- what tests can see


def test_recorded_request_names_its_account(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    handle(exchange, Request("GET", SERVER_TIME))
    clock.now += 1
    request = signed(clock, secret="guess")
    handle(exchange, request)
    assert [(seen.at, seen.account) for seen in exchange.requests] == [
        (1_700_000_000.0, None),
        (1_700_000_001.0, "main"),
    ]
    assert [seen.request for seen in account.requests] == [request]
    assert (exchange.request_count, account.request_count) == (2, 1)


def test_observer_sees_each_request_and_its_response(exchange: Exchange) -> None:
    seen: list[tuple[str, int]] = []
    exchange.observer = lambda request, response: seen.append((request.path, response.status))
    handle(exchange, Request("GET", SERVER_TIME))
    handle(exchange, Request("GET", "/v5/nowhere"))
    assert seen == [(SERVER_TIME, 200), ("/v5/nowhere", 404)]


def test_record_of_requests_is_bounded_and_the_count_is_not(clock: FakeClock) -> None:
    exchange = Exchange(clock, history=3)
    for _ in range(5):
        handle(exchange, Request("GET", SERVER_TIME))
    assert (len(exchange.requests), exchange.request_count) == (3, 5)


def test_served_state_is_kept_once(clock: FakeClock, exchange: Exchange, account: Account) -> None:
    first = account.holdings
    handle(exchange, signed(clock))
    handle(exchange, signed(clock))
    account.freeze("ETH", "1")
    handle(exchange, signed(clock, secret="guess"))
    assert list(account.served) == [first], "a refusal serves nothing"
    handle(exchange, signed(clock))
    assert list(account.served) == [first, account.holdings]


def test_repr_of_an_account_has_no_secret(account: Account) -> None:
    assert KEY not in repr(account)
    assert SECRET not in repr(account)


# --- amounts


def test_freezing_an_amount_is_exact(account: Account) -> None:
    account.update({"ETH": Holding("1.000000000000000001", "0")})
    account.freeze("ETH", "0.1")
    assert account.holdings["ETH"] == Holding("0.900000000000000001", "0.1")
    account.freeze("ETH", "-0.1")
    assert account.holdings["ETH"] == Holding("1.000000000000000001", "0.0")


def test_update_changes_and_removes_coins_in_one_step(account: Account) -> None:
    account.update({"ETH": None, "SOL": Holding("3")})
    assert set(account.holdings) == {"BTC", "SOL"}


def test_answer_is_consistent_while_amounts_change(clock: FakeClock) -> None:
    exchange = Exchange(clock, limits=UNLIMITED)
    account = exchange.add_account("main", {"ETH": Holding("1000", "0")}, api_key=KEY, api_secret=SECRET)
    done = threading.Event()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def shuffle() -> None:
        while not done.is_set():
            account.freeze("ETH", "0.7")
            account.freeze("ETH", "-0.3")
            account.freeze("ETH", "-0.4")

    mover = threading.Thread(target=shuffle)
    mover.start()
    try:
        for _ in range(2000):
            asset = parsed(handle(exchange, signed(clock)))["result"]["spot"]["assets"][0]
            assert Decimal(asset["free"]) + Decimal(asset["frozen"]) == 1000
            holding = account.holdings["ETH"]
            assert Decimal(holding.free) + Decimal(holding.frozen) == 1000
    finally:
        done.set()
        mover.join()
        sys.setswitchinterval(interval)
    assert len(account.served) > 1
