"""The subaccounts of a master account, and what they hold in their funding wallets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import msgspec

from ..model import Account, Balance, Subaccount, SubaccountStatus
from .client import Answer, Client, redacts_key
from .paging import read_pages
from .wallets.fund import COINS_BALANCE_PATH, FundResult, fund_snapshot

SUBACCOUNTS_PATH = "/v5/user/submembers"

_STATUS = {1: SubaccountStatus.NORMAL, 2: SubaccountStatus.LOGIN_BANNED, 4: SubaccountStatus.FROZEN}


class Member(msgspec.Struct):
    """A subaccount."""

    uid: Annotated[str, msgspec.Meta(min_length=1)]
    status: int
    username: str | None = None


class MembersPage(msgspec.Struct, rename="camel"):
    """https://bybit-exchange.github.io/docs/v5/user/page-subuid"""

    sub_members: list[Member] | None
    next_cursor: str | None = None


@redacts_key
def read_subaccounts(client: Client, account: Account) -> Answer[Sequence[Subaccount]]:
    """All subaccounts of a master account, over all pages.

    Raises:
        BybitError: whatever went wrong.
    """
    answer = read_pages(
        client, account, SUBACCOUNTS_PATH, {"pageSize": "100"}, MembersPage, "nextCursor", lambda page: page.next_cursor
    )
    return answer.with_result(subaccounts([member for page in answer.result for member in page.sub_members or ()]))


def subaccounts(members: Sequence[Member]) -> Sequence[Subaccount]:
    """The subaccounts, each once, under names that tell them apart: the user name, or else the UID."""
    by_uid = {member.uid: member for member in members}  # who joins or leaves meanwhile may move others to another page
    named = Counter([*(member.username for member in by_uid.values()), *by_uid])  # a name may be the UID of another
    return [
        Subaccount(
            uid=member.uid,
            name=member.username if member.username and named[member.username] == 1 else member.uid,
            status=_STATUS.get(member.status, SubaccountStatus.UNKNOWN),
            raw_status=str(member.status),
        )
        for member in by_uid.values()
    ]


@redacts_key
def read_subaccount_balances(client: Client, account: Account, uid: str) -> Answer[Sequence[Balance]]:
    """What one subaccount holds in its funding wallet: the account's coins, or all of which it holds anything.

    Raises:
        BybitError: whatever went wrong.
    """
    params = {"accountType": "FUND", "memberId": uid}
    answer = client.get(COINS_BALANCE_PATH, params, FundResult, account)
    balances = fund_snapshot(answer.result, account.coins).balances
    if account.coins is None:
        balances = tuple(balance for balance in balances if balance.total)
    return answer.with_result(balances)
