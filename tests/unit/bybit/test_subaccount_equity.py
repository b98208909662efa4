"""The reader of the value of all subaccounts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bybit_exporter.bybit.subaccount_equity import read_subaccount_equity
from bybit_exporter.model import FailureReason
from tests.unit.bybit.fake_exchange import MAIN, Exchange, refusal

Row = tuple[str, str, Decimal]


def item(wallet: str, usd: str | None, stat: int | None = 0) -> dict[str, Any]:
    return {"type": wallet, "origb": usd, "stat": stat}


def member(uid: int | str, *items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"uid": uid, "type": 1, "stat": 0, "origb": "1", "items": list(items), **fields}


def read(*members: dict[str, Any], **fields: Any) -> list[Row]:
    found = read_subaccount_equity(Exchange({"total": "1", "stat": 0, "list": list(members), **fields}).client, MAIN)
    return [(each.uid, each.wallet, each.usd) for each in found.result]


MASTER = member(1000001, item("ACCOUNT_TYPE_UNIFIED", "100"), isM=True)
COMPLETE = member(1000002, item("ACCOUNT_TYPE_FUND", "20"), item("ACCOUNT_TYPE_UNIFIED", "40"))
INCOMPLETE = member(1000003, item("ACCOUNT_TYPE_FUND", "3"), item("ACCOUNT_TYPE_UNIFIED", "0", stat=1), stat=1)


def test_subaccounts_are_read_with_one_request() -> None:
    exchange = Exchange({"list": []})
    assert read_subaccount_equity(exchange.client, MAIN).result == []
    assert exchange.asked == [("/v5/asset/total-members-assets", {})]


@pytest.mark.parametrize("total_is_incomplete", [0, 1])
def test_wallet_that_is_complete_is_shown_whatever_the_totals_lack(total_is_incomplete: int) -> None:
    assert read(MASTER, COMPLETE, INCOMPLETE, stat=total_is_incomplete) == [
        ("1000002", "FUND", Decimal(20)),
        ("1000002", "UNIFIED", Decimal(40)),
        ("1000003", "FUND", Decimal(3)),
    ]


@pytest.mark.parametrize("broken", [item("ACCOUNT_TYPE_FUND", "7", stat=None), item("ACCOUNT_TYPE_FUND", "7", 2)])
def test_wallet_that_is_not_marked_as_complete_is_left_out(broken: dict[str, Any]) -> None:
    assert read(member(1, broken)) == []


@pytest.mark.parametrize("empty", ["", None])
def test_wallet_without_a_value_is_left_out_rather_than_0(empty: str | None) -> None:
    assert read(member(1, item("ACCOUNT_TYPE_FUND", empty), item("ACCOUNT_TYPE_CONTRACT", "0"))) == [
        ("1", "CONTRACT", Decimal(0))
    ]


def test_wallet_of_an_unknown_kind_keeps_the_name_of_the_exchange() -> None:
    assert read(member("1", item("ACCOUNT_TYPE_NEW_KIND", "-1.5"), item("OTHER", "2"))) == [
        ("1", "NEW_KIND", Decimal("-1.5")),
        ("1", "OTHER", Decimal(2)),
    ]


@pytest.mark.parametrize("members", [None, [], [member(1, items=None)], [{"uid": 1}]])
def test_lists_that_are_null_or_missing_in_a_member_are_empty(members: Any) -> None:
    assert read_subaccount_equity(Exchange({"list": members}).client, MAIN).result == []


def test_answer_without_a_list_is_malformed() -> None:
    error = refusal(read_subaccount_equity, Exchange({}))
    assert (error.reason, str(error)) == (FailureReason.MALFORMED, "result.list: missing")


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (
            member(2, item("ACCOUNT_TYPE_FUND", "much")),
            "result.list[1].items[0].origb: not a finite decimal number",
        ),
        (
            member(2, item("ACCOUNT_TYPE_FUND", "much", stat=1)),
            "result.list[1].items[0].origb: not a finite decimal number",
        ),
        (
            member(2, item("ACCOUNT_TYPE_FUND", "1"), item("ACCOUNT_TYPE_FUND", "1")),
            "result.list[1].items[1].type: listed twice",
        ),
    ],
)
def test_answer_that_makes_no_sense_is_malformed(broken: dict[str, Any], problem: str) -> None:
    error = refusal(read_subaccount_equity, Exchange({"list": [COMPLETE, broken]}))
    assert (error.reason, str(error)) == (FailureReason.MALFORMED, problem)
