"""Keys, subaccounts and withdrawals of the embedded exchange, compared with Bybit's documentation."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from bybit_exporter.sandbox import (
    COINS_BALANCE,
    KEY_INFO,
    MEMBER_FROZEN,
    MEMBER_LOGIN_BANNED,
    SUBMEMBERS,
    UNLIMITED,
    WITHDRAWALS,
    Account,
    Exchange,
    FundingHolding,
)
from tests.sandbox_client import refusal, result
from tests.support import FakeClock

DAY = 86_400


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def master(clock: FakeClock) -> Account:
    return Exchange(clock).add_account("master", unified={})


@pytest.fixture
def member(master: Account) -> Account:
    return master.exchange.add_account("member", unified={}, parent=master)


# --- the key itself


def test_key_information_has_every_documented_field(master: Account) -> None:
    answer = result(master, KEY_INFO)
    assert answer["permissions"]["Wallet"] == ["AccountTransfer", "SubMemberTransfer"]
    assert {kind for kind, names in answer.pop("permissions").items() if names == []} >= {"NFT", "CopyTrading"}
    assert answer == {
        "id": str(master.uid),
        "note": "master",
        "apiKey": master.api_key,
        "readOnly": 1,
        "secret": "",
        "ips": ["*"],
        "type": 1,
        "deadlineDay": -2,
        "expiredAt": "1970-01-01T00:00:00Z",
        "createdAt": "2023-11-14T22:13:20Z",
        "unified": 0,
        "uta": 1,
        "userID": master.uid,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_DEFAULT",
        "kycRegion": "",
        "userIDInt64": str(master.uid),
        "inviterIDInt64": "0",
        "affiliateIDInt64": "0",
    }


def test_key_information_shows_the_permission_to_withdraw(master: Account) -> None:
    master.key.grant("Wallet", "Withdraw")
    permissions = result(master, KEY_INFO)["permissions"]
    assert permissions["Wallet"] == ["AccountTransfer", "SubMemberTransfer", "Withdraw"]
    assert result(master.exchange.add_account("other"), KEY_INFO)["permissions"]["Wallet"] == permissions["Wallet"][:2]


def test_key_information_of_a_writing_key_and_of_a_subaccount(master: Account, member: Account) -> None:
    master.key.read_only = False
    assert result(master, KEY_INFO)["readOnly"] == 0
    answer = result(member, KEY_INFO)
    assert (answer["isMaster"], answer["parentUid"], answer["readOnly"]) == (False, str(master.uid), 1)
    assert answer["permissions"]["Wallet"] == ["AccountTransfer", "SubMemberTransferList"]
    assert result(master.exchange.add_account("classic"), KEY_INFO)["uta"] == 0


def test_key_that_expires_states_when_and_is_refused_afterwards(clock: FakeClock, master: Account) -> None:
    master.key.expires_at = clock.now + 14.9 * DAY
    answer = result(master, KEY_INFO)
    assert (answer["deadlineDay"], answer["expiredAt"]) == (14, "2023-11-29T19:49:20Z")
    clock.now += 14.9 * DAY - 0.001
    assert result(master, KEY_INFO)["deadlineDay"] == 0
    clock.now += 0.001
    assert refusal(master, KEY_INFO) == 33004


def test_key_bound_to_addresses_is_refused_from_others(master: Account) -> None:
    master.key.ips = ("127.0.0.1", "127.0.0.3")
    assert result(master, KEY_INFO)["ips"] == ["127.0.0.1", "127.0.0.3"]
    assert [refusal(master, KEY_INFO, source=f"127.0.0.{last}") for last in (1, 2, 3)] == [0, 10010, 0]


def test_rotated_key_keeps_its_settings(clock: FakeClock, master: Account) -> None:
    master.key.read_only = False
    clock.now += DAY
    master.exchange.rotate_key(master, "new-key", "new-secret")
    answer = result(master, KEY_INFO)
    assert (answer["apiKey"], answer["readOnly"], answer["createdAt"]) == ("new-key", 0, "2023-11-15T22:13:20Z")


def test_further_key_of_a_subaccount_has_the_same_permissions(master: Account, member: Account) -> None:
    further = master.exchange.add_account("further", uid=member.uid)
    assert result(further, KEY_INFO)["permissions"] == result(member, KEY_INFO)["permissions"]
    assert refusal(further, WITHDRAWALS, "withdrawType=2") == 10005


def test_repr_of_a_key_has_no_secret(master: Account) -> None:
    assert master.api_key not in repr(master.key)
    assert master.api_secret not in repr(master.key)


# --- the subaccounts of a master


def pages(master: Account, size: int) -> list[list[dict[str, Any]]]:
    found, cursor = [], ""
    while cursor != "0":
        query = f"pageSize={size}" + (f"&nextCursor={cursor}" if cursor else "")
        answer = result(master, SUBMEMBERS, query)
        found.append(answer["subMembers"])
        cursor = answer["nextCursor"]
    return found


def test_list_of_subaccounts_is_latest_first(master: Account, member: Account) -> None:
    frozen = master.add_member("desk02")
    frozen.status, frozen.account_mode, frozen.remark, frozen.member_type = MEMBER_FROZEN, 1, "by the desk", 6
    assert result(master, SUBMEMBERS) == {
        "subMembers": [
            {
                "uid": str(frozen.uid),
                "username": "desk02",
                "memberType": 6,
                "status": 4,
                "remark": "by the desk",
                "accountMode": 1,
            },
            {
                "uid": str(member.uid),
                "username": "member",
                "memberType": 1,
                "status": 1,
                "remark": "",
                "accountMode": 5,
            },
        ],
        "nextCursor": "0",
    }


def test_list_of_subaccounts_without_any_is_empty(master: Account) -> None:
    assert result(master, SUBMEMBERS) == {"subMembers": [], "nextCursor": "0"}


@pytest.mark.parametrize(("members", "sizes"), [(99, [99]), (100, [100]), (101, [100, 1]), (200, [100, 100])])
def test_list_of_subaccounts_is_in_pages(members: int, sizes: list[int], master: Account) -> None:
    for number in range(members):
        master.add_member(f"desk{number:04}")
    found = pages(master, 100)
    assert [len(page) for page in found] == sizes
    names = [row["username"] for page in found for row in page]
    assert names == [f"desk{number:04}" for number in reversed(range(members))]


def test_list_of_subaccounts_is_complete_if_one_vanishes_between_pages(master: Account) -> None:
    for number in range(6):
        master.add_member(f"desk{number}")
    first = result(master, SUBMEMBERS, "pageSize=2")
    del master.members[int(first["subMembers"][0]["uid"])]
    second = result(master, SUBMEMBERS, f"pageSize=4&nextCursor={first['nextCursor']}")
    assert [row["username"] for row in second["subMembers"]] == ["desk3", "desk2", "desk1", "desk0"]


@pytest.mark.parametrize("query", ["pageSize=0", "pageSize=101", "pageSize=x", "nextCursor=x", "nextCursor=-1"])
def test_list_of_subaccounts_with_bad_parameters_is_refused(query: str, master: Account) -> None:
    assert refusal(master, SUBMEMBERS, query) == 10001


def test_list_of_subaccounts_needs_a_master_and_a_permission(master: Account, member: Account) -> None:
    assert refusal(member, SUBMEMBERS) == 10005
    wallet = {**master.key.permissions, "Wallet": ("SubMemberTransferList",)}
    master.key.permissions = wallet
    assert refusal(master, SUBMEMBERS) == 10005
    for name in ("AccountTransfer", "SubMemberTransfer", "Withdraw"):
        master.key.permissions = {**wallet, "Wallet": (name,)}
        assert refusal(master, SUBMEMBERS) == 0


def test_list_of_a_thousand_subaccounts_is_fast() -> None:
    """Processor time for setting up and listing twenty times; it takes about a tenth of the limit."""
    started = time.process_time()
    master = Exchange(limits=UNLIMITED).add_account("master", unified={})
    for number in range(1000):
        master.add_member(f"desk{number:04}", {"USDT": FundingHolding(str(number))})
    assert all(len(pages(master, 100)) == 10 for _ in range(20))
    assert time.process_time() - started < 1.5


def test_list_of_subaccounts_follows_a_change_of_status(master: Account) -> None:
    member = master.add_member("desk01")
    member.status = MEMBER_LOGIN_BANNED
    assert result(master, SUBMEMBERS)["subMembers"][0]["status"] == 2


# --- withdrawals


def withdrawn(account: Account, query: str) -> list[str]:
    """Amounts over all pages."""
    found, cursor = [], None
    while cursor != "":
        answer = result(account, WITHDRAWALS, query + (f"&cursor={cursor}" if cursor else ""))
        found += [row["amount"] for row in answer["rows"]]
        cursor = answer["nextPageCursor"]
    return found


def test_withdrawal_has_every_documented_field(master: Account) -> None:
    made = master.withdraw("USDT", "951", "Pending", age=60)
    row = result(master, WITHDRAWALS, "withdrawType=2")["rows"][0]
    assert row.pop("toAddress").startswith("0x")
    assert row == {
        "coin": "USDT",
        "chain": "ETH",
        "amount": "951",
        "txID": "",
        "status": "Pending",
        "tag": "",
        "withdrawFee": "0",
        "createTime": "1699999940000",
        "updateTime": "1699999940000",
        "withdrawId": made.withdraw_id,
        "withdrawType": 0,
        "fee": "",
        "tax": "",
        "taxRate": "",
        "taxType": "",
    }
    master.set_withdrawal(made.withdraw_id, "success")
    row = result(master, WITHDRAWALS, "withdrawType=2")["rows"][0]
    assert (row["status"], row["createTime"], row["updateTime"]) == ("success", "1699999940000", "1700000000000")
    assert row["txID"].startswith("0x")


@pytest.mark.parametrize(("rows", "limit"), [(0, 50), (50, 50), (51, 50), (7, 3), (3, 1)])
def test_withdrawals_are_newest_first_in_pages(rows: int, limit: int, master: Account) -> None:
    for number in range(rows):
        master.withdraw("USDT", str(number))
    first = result(master, WITHDRAWALS, f"withdrawType=2&limit={limit}")
    assert len(first["rows"]) == min(rows, limit)
    assert (first["nextPageCursor"] == "") == (rows <= limit)
    assert withdrawn(master, f"withdrawType=2&limit={limit}") == [str(number) for number in reversed(range(rows))]


def test_last_page_of_withdrawals_can_have_a_cursor(master: Account) -> None:
    for number in range(3):
        master.withdraw("USDT", str(number))
    master.last_page_has_cursor = True
    first = result(master, WITHDRAWALS, "withdrawType=2&limit=50")
    assert len(first["rows"]) == 3
    assert first["nextPageCursor"]
    after = result(master, WITHDRAWALS, f"withdrawType=2&limit=50&cursor={first['nextPageCursor']}")
    assert after == {"rows": [], "nextPageCursor": ""}


@pytest.mark.parametrize(("empty_rows", "fields"), [("null", {"rows": None}), ("absent", {}), ("list", {"rows": []})])
def test_page_without_withdrawals_can_lack_its_rows(empty_rows: Any, fields: dict[str, Any], master: Account) -> None:
    master.empty_rows = empty_rows
    assert result(master, WITHDRAWALS, "withdrawType=2") == {**fields, "nextPageCursor": ""}
    master.withdraw("USDT", "1")
    assert len(result(master, WITHDRAWALS, "withdrawType=2")["rows"]) == 1


def test_withdrawal_made_between_two_pages_shifts_nothing(master: Account) -> None:
    for number in range(4):
        master.withdraw("USDT", str(number))
    first = result(master, WITHDRAWALS, "limit=2")
    master.withdraw("USDT", "new")
    second = result(master, WITHDRAWALS, f"limit=2&cursor={first['nextPageCursor']}")
    assert [row["amount"] for row in first["rows"] + second["rows"]] == ["3", "2", "1", "0"]


def test_withdrawals_without_a_period_are_of_thirty_days(clock: FakeClock, master: Account) -> None:
    for days in (31, 29, 1):
        master.withdraw("USDT", str(days), age=days * DAY)
    now = int(clock.now * 1000)
    assert withdrawn(master, "withdrawType=2") == ["1", "29"]
    assert withdrawn(master, f"endTime={now - 5 * DAY * 1000}") == ["29", "31"]
    assert withdrawn(master, f"startTime={now - 2 * DAY * 1000}") == ["1"]
    assert withdrawn(master, f"startTime={now - 32 * DAY * 1000}&endTime={now - 30 * DAY * 1000}") == ["31"]
    assert refusal(master, WITHDRAWALS, f"startTime={now - 31 * DAY * 1000}&endTime={now}") == 10001
    assert refusal(master, WITHDRAWALS, f"startTime={now}&endTime={now - 1}") == 10001


def test_withdrawals_are_filtered_by_coin_type_and_id(master: Account) -> None:
    on_chain, coin = master.withdraw("USDT", "1", "success"), master.withdraw("BTC", "2")
    inside = replace(master.withdraw("USDT", "3"), withdraw_type=1)
    master.withdrawals.update({inside.withdraw_id: inside})
    assert withdrawn(master, "") == ["2", "1"], "on chain is the default"
    assert withdrawn(master, "withdrawType=1") == ["3"]
    assert withdrawn(master, "withdrawType=2") == ["3", "2", "1"]
    assert withdrawn(master, "withdrawType=2&coin=BTC") == ["2"]
    assert withdrawn(master, f"withdrawID={coin.withdraw_id}") == ["2"]
    assert withdrawn(master, f"txID={on_chain.transaction_id}") == ["1"]
    assert result(master, WITHDRAWALS, "withdrawType=1")["rows"][0]["toAddress"].isdecimal()


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=51", "limit=x", "withdrawType=3", "coin=usdt", "cursor=x", "cursor=e30=", "startTime=soon"],
)
def test_withdrawals_with_bad_parameters_are_refused(query: str, master: Account) -> None:
    assert refusal(master, WITHDRAWALS, query) == 10001


def test_withdrawals_of_a_subaccount_are_refused(member: Account) -> None:
    assert refusal(member, WITHDRAWALS, "withdrawType=2") == 10005
    assert refusal(member, COINS_BALANCE, "accountType=FUND") == 0


def test_withdrawals_served_are_kept(master: Account) -> None:
    made = master.withdraw("USDT", "5")
    withdrawn(master, "withdrawType=2")
    master.set_withdrawal(made.withdraw_id, "success")
    withdrawn(master, "withdrawType=2")
    assert [rows[made.withdraw_id].status for rows in master.withdrawals.served] == ["SecurityCheck", "success"]
