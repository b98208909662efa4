"""Clients of Bybit that this project did not write, connected to the embedded exchange."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bybit_exporter.sandbox import Account, Exchange, Holding, RateLimit, SandboxServer, faults
from tests.bybit_clients import call_pybit, pybit, pybit_session, run_node

KEY, SECRET = "the-right-key", "the-right-secret"

SEED_RESULT = {
    "spot": {
        "status": "ACCOUNT_STATUS_NORMAL",
        "assets": [{"coin": "ETH", "frozen": "0", "free": "11.53485", "withdraw": ""}],
    }
}

#: Asks with (key, secret, parameters); gives the envelope, or as much of it as the client lets through.
Ask = Callable[[str, str, dict[str, str]], dict[str, Any]]


@pytest.fixture
def account() -> Account:
    return Exchange().add_account("main", {"ETH": Holding("11.53485")}, api_key=KEY, api_secret=SECRET)


@pytest.fixture
def server(account: Account) -> Iterator[SandboxServer]:
    with SandboxServer(account.exchange) as server:
        yield server


def ask_pybit(server: SandboxServer, key: str, secret: str, parameters: dict[str, str]) -> dict[str, Any]:
    return call_pybit(pybit_session(server, key, secret), "get_spot_asset_info", parameters)


def ask_node(server: SandboxServer, key: str, secret: str, parameters: dict[str, str]) -> dict[str, Any]:
    answer: dict[str, Any] = run_node(server, key, secret, "getAssetInfo", parameters)["answer"]
    return answer


@pytest.fixture(params=[ask_pybit, ask_node], ids=["pybit", "bybit-api"])
def ask(request: pytest.FixtureRequest, server: SandboxServer) -> Ask:
    def ask(key: str, secret: str, parameters: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = request.param(server, key, secret, parameters)
        return answer

    return ask


def test_clients_get_the_documented_answer(ask: Ask) -> None:
    answer = ask(KEY, SECRET, {"accountType": "SPOT", "coin": "ETH"})
    assert (answer["retCode"], answer["retMsg"], answer["retExtInfo"]) == (0, "success", {})
    assert answer["result"] == SEED_RESULT
    assert abs(answer["time"] - time.time() * 1000) < 60_000


def test_clients_get_all_coins(ask: Ask) -> None:
    assert ask(KEY, SECRET, {"accountType": "SPOT"})["result"] == SEED_RESULT


def test_clients_read_the_status_of_a_banned_account(ask: Ask, account: Account) -> None:
    account.status = "ACCOUNT_STATUS_UNSPECIFIED"
    status = ask(KEY, SECRET, {"accountType": "SPOT"})["result"]["spot"]["status"]
    assert status == "ACCOUNT_STATUS_UNSPECIFIED"


@pytest.mark.parametrize(
    ("key", "secret", "parameters", "code"),
    [
        ("a-wrong-key", SECRET, {"accountType": "SPOT"}, 10003),
        (KEY, "a-wrong-secret", {"accountType": "SPOT"}, 10004),
        (KEY, SECRET, {"accountType": "SPOT", "coin": "eth"}, 10001),
        (KEY, SECRET, {"accountType": "FUND", "coin": "USDC"}, 10001),
    ],
)
def test_clients_read_the_code_of_a_refusal(
    key: str, secret: str, parameters: dict[str, str], code: int, ask: Ask
) -> None:
    answer = ask(key, secret, parameters)
    assert answer["retCode"] == code
    assert answer["retMsg"]


def test_pybit_reads_the_server_time(server: SandboxServer) -> None:
    answer = pybit_session(server, KEY, SECRET).get_server_time()
    assert abs(int(answer["result"]["timeSecond"]) - time.time()) < 60
    assert answer["result"]["timeNano"].startswith(answer["result"]["timeSecond"])


def test_bybit_api_reads_the_server_time(server: SandboxServer) -> None:
    answer = run_node(server, KEY, SECRET, "getServerTime", {})["answer"]
    assert abs(int(answer["result"]["timeSecond"]) - time.time()) < 60
    assert abs(run_node(server, KEY, SECRET, "fetchServerTime", {})["answer"] - time.time()) < 60


def test_bybit_api_understands_the_rate_limit_headers(server: SandboxServer) -> None:
    limits = run_node(server, KEY, SECRET, "getAssetInfo", {"accountType": "SPOT"})["answer"]["rateLimitApi"]
    assert (limits["maxRequests"], limits["remainingRequests"]) == (60, 59)
    assert abs(limits["resetAtTimestamp"] - time.time() * 1000) < 60_000


def test_pybit_waits_until_the_stated_time_after_too_many_visits(server: SandboxServer, account: Account) -> None:
    """It sleeps until X-Bapi-Limit-Reset-Timestamp, then gets its answer at the first attempt."""
    account.limit = RateLimit(1, 1.0)
    session = pybit_session(server, KEY, SECRET)
    for _ in range(2):
        assert session.get_spot_asset_info(accountType="SPOT")["result"] == SEED_RESULT
    assert account.request_count == 3


def test_clients_take_a_403_for_the_limit_per_address(server: SandboxServer, account: Account) -> None:
    session = pybit_session(server, KEY, SECRET)
    account.fault = faults.access_too_frequent()
    with pytest.raises(pybit("exceptions").FailedRequestError, match="rate limit"):
        session.get_spot_asset_info(accountType="SPOT")
    outcome = run_node(server, KEY, SECRET, "getAssetInfo", {"accountType": "SPOT"})
    assert outcome == {"error": 403, "body": "access too frequent"}


def test_pybit_keeps_its_connection(server: SandboxServer) -> None:
    session = pybit_session(server, KEY, SECRET)
    for _ in range(5):
        session.get_spot_asset_info(accountType="SPOT")
    assert server.accepted_connections == 1
