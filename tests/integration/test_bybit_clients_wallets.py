"""The same clients and all endpoints but the spot wallet: what they read is what the exchange holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bybit_exporter.sandbox import (
    ACCOUNT_INFO,
    ASSET_OVERVIEW,
    COINS_BALANCE,
    KEY_INFO,
    MEMBERS_ASSETS,
    NOT_IN_REGIONS,
    SUBMEMBERS,
    WALLET_BALANCE,
    WITHDRAWABLE_AMOUNT,
    WITHDRAWALS,
    Account,
    Exchange,
    FundingHolding,
    Product,
    SandboxServer,
    Ticker,
    UnifiedHolding,
)
from bybit_exporter.sandbox.demo import demo_exchange
from tests.bybit_clients import call_pybit, give_rsa_key, pybit, pybit_session, run_node
from tests.sandbox_client import result

UNIFIED = {
    "BTC": UnifiedHolding("1.25", "0.5", "80000"),
    "XRP": UnifiedHolding("-1500", usd_value="-780", borrow_amount="1500"),
}
FUNDING = {"USDT": FundingHolding("1010", "1000"), "BTC": FundingHolding("2")}

#: Asks with (method of pybit, method of bybit-api, parameters, key, secret).
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def master() -> Account:
    exchange = Exchange()
    master = exchange.add_account("master", unified=UNIFIED, funding=FUNDING)
    master.products.update({"Earn": Product(categories={"Easy Earn": {"BTC": "0.3"}}), "Alpha": Product({"X": "1"})})
    master.risk_frozen_usd = "12.5"
    for number in range(3):
        master.withdraw("USDT", str(100 + number), "Pending")
        master.add_member(f"desk0{number}", {"ETH": FundingHolding(str(number))})
    exchange.tickers.update({"BTCUSDT": Ticker("64000", "64010.5"), "ETHBTC": Ticker("0.05")})
    return master


@pytest.fixture
def server(master: Account) -> Iterator[SandboxServer]:
    with SandboxServer(master.exchange) as server:
        yield server


@pytest.fixture(params=["pybit", "bybit-api"])
def ask(request: pytest.FixtureRequest, server: SandboxServer, master: Account) -> Ask:
    def ask(methods: tuple[str, str], parameters: dict[str, Any], account: Account = master) -> dict[str, Any]:
        key, secret = account.api_key, account.api_secret
        if request.param == "pybit":
            return call_pybit(pybit_session(server, key, secret), methods[0], parameters)
        answer: dict[str, Any] = run_node(server, key, secret, methods[1], parameters)["answer"]
        return answer

    return ask


WALLET = ("get_wallet_balance", "getWalletBalance")
COINS = ("get_coins_balance", "getAllCoinsBalance")
RECORDS = ("get_withdrawal_records", "getWithdrawalRecords")
KEY = ("get_api_key_information", "getQueryApiKey")
INFO = ("get_account_info", "getAccountInfo")
MEMBERS = ("get_sub_uid_list_unlimited", "getSubUIDListUnlimited")
OVERVIEW = ("get_asset_overview", "getAssetOverview")
MEMBERS_WORTH = ("get_total_members_assets", "getTotalMembersAssets")
WITHDRAWABLE = ("get_withdrawable_amount", "getWithdrawableAmount")
PRICES = ("get_tickers", "getTickers")


@pytest.mark.parametrize(
    ("methods", "parameters", "path", "query"),
    [
        (WALLET, {"accountType": "UNIFIED"}, WALLET_BALANCE, "accountType=UNIFIED"),
        (WALLET, {"accountType": "UNIFIED", "coin": "XRP,BTC"}, WALLET_BALANCE, "accountType=UNIFIED&coin=XRP,BTC"),
        (COINS, {"accountType": "FUND"}, COINS_BALANCE, "accountType=FUND"),
        (COINS, {"accountType": "FUND", "coin": "BTC,DOGE"}, COINS_BALANCE, "accountType=FUND&coin=BTC,DOGE"),
        (RECORDS, {"withdrawType": 2, "limit": 2}, WITHDRAWALS, "withdrawType=2&limit=2"),
        (KEY, {}, KEY_INFO, ""),
        (INFO, {}, ACCOUNT_INFO, ""),
        (MEMBERS, {"pageSize": "100"}, SUBMEMBERS, "pageSize=100"),
        (OVERVIEW, {}, ASSET_OVERVIEW, ""),
        (OVERVIEW, {"accountType": "Earn"}, ASSET_OVERVIEW, "accountType=Earn"),
        (MEMBERS_WORTH, {}, MEMBERS_ASSETS, ""),
        (WITHDRAWABLE, {"coin": "USDT"}, WITHDRAWABLE_AMOUNT, "coin=USDT"),
    ],
)
def test_clients_get_what_the_exchange_holds(
    methods: tuple[str, str], parameters: dict[str, Any], path: str, query: str, ask: Ask, master: Account
) -> None:
    answer = ask(methods, parameters)
    assert answer["retCode"] == 0
    expected = result(master, path, query)
    for listed in (*answer["result"].get("list", ()), *expected.get("list", ())):
        listed.pop("snapshotTime", None)  # the time of the answer
    assert answer["result"] == expected
    assert master.request_count == 2


def test_clients_read_the_figures(ask: Ask) -> None:
    coins = ask(WALLET, {"accountType": "UNIFIED"})["result"]["list"][0]["coin"]
    assert [(c["coin"], c["walletBalance"], c["locked"], c["equity"], c["usdValue"]) for c in coins] == [
        ("BTC", "1.25", "0.5", "1.25", "80000"),
        ("XRP", "-1500", "0", "-1500", "-780"),
    ]
    funds = ask(COINS, {"accountType": "FUND"})["result"]["balance"]
    assert [(f["coin"], f["walletBalance"], f["transferBalance"]) for f in funds] == [
        ("USDT", "1010", "1000"),
        ("BTC", "2", "2"),
    ]
    pairs = ask(PRICES, {"category": "spot"})["result"]["list"]
    assert [(p["symbol"], p["lastPrice"], p["usdIndexPrice"]) for p in pairs] == [
        ("BTCUSDT", "64000", "64010.5"),
        ("ETHBTC", "0.05", ""),
    ]
    assert len(ask(PRICES, {"category": "spot", "symbol": "ETHBTC"})["result"]["list"]) == 1


def test_clients_follow_the_cursor_to_the_last_page(ask: Ask, master: Account) -> None:
    amounts, names = [], []
    cursor: str | None = None
    while cursor != "":
        answer = ask(RECORDS, {"withdrawType": 2, "limit": 2, **({"cursor": cursor} if cursor else {})})["result"]
        amounts += [row["amount"] for row in answer["rows"]]
        cursor = answer["nextPageCursor"]
    cursor = None
    while cursor != "0":
        answer = ask(MEMBERS, {"pageSize": "2", **({"nextCursor": cursor} if cursor else {})})["result"]
        names += [row["username"] for row in answer["subMembers"]]
        cursor = answer["nextCursor"]
    assert (amounts, names) == (["102", "101", "100"], ["desk02", "desk01", "desk00"])
    assert master.request_count == 4


def test_clients_read_spot_loans_and_isolated_margin(ask: Ask, master: Account) -> None:
    master.unified.rows = {
        "ETH": UnifiedHolding("0", spot_borrow="0.25"),
        "USDT": UnifiedHolding("5000", position_im="1200"),
    }
    master.margin_mode = "ISOLATED_MARGIN"
    wallet = ask(WALLET, {"accountType": "UNIFIED"})["result"]["list"][0]
    assert [(coin["walletBalance"], coin["spotBorrow"], coin["equity"]) for coin in wallet["coin"]] == [
        ("0", "0.25", "-0.25"),
        ("5000", "0", "5000"),
    ]
    assert (wallet["accountMMRate"], wallet["totalAvailableBalance"]) == ("", "")
    assert ask(INFO, {})["result"]["marginMode"] == "ISOLATED_MARGIN"


def test_clients_are_refused_a_path_that_a_regional_host_lacks(server: SandboxServer, master: Account) -> None:
    master.exchange.missing_paths = NOT_IN_REGIONS
    outcome = run_node(server, master.api_key, master.api_secret, OVERVIEW[1], {})
    assert (outcome["error"], outcome["body"]["retCode"]) == (404, 10017)
    session = pybit_session(server, master.api_key, master.api_secret)
    with pytest.raises(pybit("exceptions").FailedRequestError) as failure:
        session.get_asset_overview()
    assert failure.value.status_code == 404


def test_clients_of_a_master_read_the_funds_of_a_subaccount(ask: Ask, master: Account) -> None:
    uid = str(next(uid for uid, member in master.members.items() if member.username == "desk02"))
    answer = ask(COINS, {"accountType": "FUND", "memberId": uid})["result"]
    assert answer == {
        "accountType": "FUND",
        "memberId": uid,
        "balance": [{"coin": "ETH", "walletBalance": "2", "transferBalance": "2", "bonus": ""}],
    }


def test_clients_are_refused_the_assets_of_others(ask: Ask, master: Account) -> None:
    exchange = master.exchange
    member = exchange.add_account("member", unified=UNIFIED, parent=master)
    classic = exchange.add_account("classic")
    assert ask(RECORDS, {"withdrawType": 2}, member)["retCode"] == 10005
    assert ask(MEMBERS, {}, member)["retCode"] == 10005
    assert ask(WALLET, {"accountType": "UNIFIED"}, classic)["retCode"] == 10028
    assert ask(COINS, {"accountType": "UNIFIED"})["retCode"] == 10001
    assert ask(COINS, {"accountType": "FUND", "memberId": str(classic.uid)})["retCode"] == 131202


@pytest.mark.parametrize("methods", [WALLET, COINS, RECORDS, KEY, INFO, MEMBERS], ids=lambda methods: methods[0])
def test_clients_with_a_wrong_key_or_secret_are_refused(methods: tuple[str, str], ask: Ask, master: Account) -> None:
    other = Exchange().add_account("other")
    assert ask(methods, {}, other)["retCode"] == 10003
    other.key.api_key = master.api_key
    assert ask(methods, {}, other)["retCode"] == 10004


def test_pybit_signs_with_an_rsa_key(server: SandboxServer, master: Account) -> None:
    private = give_rsa_key(master)
    session = pybit_session(server, master.api_key, private, rsa_authentication=True)
    assert session.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]["totalEquity"] == "79220"
    assert session.get_api_key_information()["result"]["rsaPublicKey"].startswith("-----BEGIN PUBLIC KEY-----")
    other = give_rsa_key(Exchange().add_account("other"))
    session = pybit_session(server, master.api_key, other, rsa_authentication=True)
    assert call_pybit(session, "get_account_info", {})["retCode"] == 10004
    session = pybit_session(server, master.api_key, master.api_secret)
    assert call_pybit(session, "get_account_info", {})["retCode"] == 10004


def test_pybit_reads_the_whole_demo() -> None:
    exchange = demo_exchange()
    with SandboxServer(exchange) as server:
        for account in exchange.accounts.values():
            session = pybit_session(server, account.api_key, account.api_secret)
            assert session.get_api_key_information()["result"]["readOnly"] == 1
            mode = session.get_account_info()["result"]["unifiedMarginStatus"]
            assert call_pybit(session, "get_wallet_balance", {"accountType": "UNIFIED"})["retCode"] in (0, 10028)
            assert (mode == 1) == (account.mode == "classic")
            assert session.get_coins_balance(accountType="FUND")["retCode"] == 0
            assert session.get_asset_overview()["retCode"] == 0
        group = exchange.accounts["group"]
        session = pybit_session(server, group.api_key, group.api_secret)
        assert len(session.get_sub_uid_list_unlimited(pageSize=100)["result"]["subMembers"]) == 12
    assert exchange.exceeded == {}
