"""The readers of the subaccounts and of their funding wallets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bybit_exporter.bybit.subaccounts import read_subaccount_balances, read_subaccounts
from bybit_exporter.model import SubaccountStatus
from tests.unit.bybit.fake_exchange import MAIN, Exchange


def member(uid: str, name: str, status: int = 1) -> dict[str, Any]:
    return {"uid": uid, "username": name, "memberType": 1, "status": status, "accountMode": 5, "remark": ""}


def members(*given: dict[str, Any], cursor: str = "0") -> dict[str, Any]:
    return {"subMembers": list(given), "nextCursor": cursor}


def test_subaccounts_are_read_over_all_pages() -> None:
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


def test_subaccounts_with_equal_names_or_on_two_pages_have_one_name_each() -> None:
    """Equal names would make equal series. A subaccount that is created meanwhile moves others to another page."""
    first = members(member("1", "same"), member("2", "same"), member("3", ""), cursor="3")
    second = members(member("3", "", 4), member("4", "other"), member("5", "1"), {**member("6", ""), "username": None})
    found = read_subaccounts(Exchange(first, second).client, MAIN).result
    assert [each.name for each in found] == ["1", "2", "3", "other", "5", "6"]
    assert found[2].status is SubaccountStatus.FROZEN, "the later answer counts"


def test_subaccounts_that_are_null_are_none() -> None:
    assert read_subaccounts(Exchange({"subMembers": None, "nextCursor": "0"}).client, MAIN).result == []


def test_balances_of_a_subaccount_are_those_that_are_not_0() -> None:
    listed = [("BTC", "1.5", "1.25"), ("ETH", "0", "0"), ("USDT", "", "")]
    balance = [{"coin": coin, "walletBalance": all_, "transferBalance": free} for coin, all_, free in listed]
    exchange = Exchange({"memberId": "7", "accountType": "FUND", "balance": balance})
    (held,) = read_subaccount_balances(exchange.client, MAIN, "7").result
    assert (held.coin, held.free, held.frozen) == ("BTC", Decimal("1.25"), Decimal("0.25"))
    ((path, query),) = exchange.asked
    assert path == "/v5/asset/transfer/query-account-coins-balance"
    assert query == {"accountType": ["FUND"], "memberId": ["7"]}
