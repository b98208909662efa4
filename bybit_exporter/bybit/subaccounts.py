"""The subaccounts of a master account: their status, and the balances of their funding wallets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from ..model import Account, Balance, Subaccount, SubaccountStatus
from .amounts import NonEmptyText
from .client import Answer, Client
from .paging import read_pages
from .wallets.fund import COINS_BALANCE_PATH, FundResult, fund_snapshot

SUBACCOUNTS_PATH = "/v5/user/submembers"

_STATUS = {1: SubaccountStatus.NORMAL, 2: SubaccountStatus.LOGIN_BANNED, 4: SubaccountStatus.FROZEN}


class Member(msgspec.Struct):
    """One subaccount."""

    uid: NonEmptyText
    status: int
    username: str | None = None


class MembersPage(msgspec.Struct, rename="camel"):
    """https://bybit-exchange.github.io/docs/v5/user/page-subuid"""

    sub_members: list[Member] | None
    next_cursor: str | None = None


def read_subaccounts(client: Client, account: Account) -> Answer[Sequence[Subaccount]]:
    """Reads all subaccounts of a master account, over all pages. Raises BybitError for any failure."""
    answer = read_pages(client, account, SUBACCOUNTS_PATH, {"pageSize": "100"}, MembersPage, "nextCursor")
    return answer.with_result(subaccounts([member for page in answer.result for member in page.sub_members or ()]))


def subaccounts(members: Sequence[Member]) -> Sequence[Subaccount]:
    """Converts valid answers. Each subaccount is listed once, under a unique name.

    The name is the user name. It is the UID if the user name is empty, or equals a user name or UID of another one.
    """
    # A member may be on two pages, if another was created meanwhile.
    by_uid = {member.uid: member for member in members}
    named = Counter([*(member.username for member in by_uid.values()), *by_uid])
    return [
        Subaccount(
            uid=member.uid,
            name=member.username if member.username and named[member.username] == 1 else member.uid,
            status=_STATUS.get(member.status, SubaccountStatus.UNKNOWN),
            raw_status=str(member.status),
        )
        for member in by_uid.values()
    ]


def read_subaccount_balances(client: Client, account: Account, uid: str) -> Answer[Sequence[Balance]]:
    """Reads the funding wallet of one subaccount: the configured coins, or every coin with a balance other than 0.

    Raises BybitError for any failure.
    """
    params = {"accountType": "FUND", "memberId": uid}
    answer = client.get(COINS_BALANCE_PATH, params, FundResult, account)
    balances = fund_snapshot(answer.result, account.coins).balances
    if account.coins is None:
        balances = tuple(balance for balance in balances if balance.total)
    return answer.with_result(balances)
