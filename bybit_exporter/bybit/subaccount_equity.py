"""The value of every wallet of every subaccount: one request for all of them. Keys of master accounts only."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..model import Account, SubaccountEquity
from .amounts import NonEmptyText, amount
from .client import Answer, Client
from .errors import MALFORMED, BybitError

MEMBERS_ASSETS_PATH = "/v5/asset/total-members-assets"

COMPLETE = 0
"""The ``stat`` of a complete value."""


class WalletAssets(msgspec.Struct):
    """One wallet: its value in US dollars as a decimal string, and whether that is complete."""

    type: NonEmptyText
    origb: str | None = None
    stat: int | None = None


class MemberAssets(msgspec.Struct):
    """One user: the master account or a subaccount. Its ``stat`` is about its total, which is not read."""

    uid: int | NonEmptyText
    is_master: bool | None = msgspec.field(name="isM", default=None)
    items: list[WalletAssets] | None = None


class MembersAssetsResult(msgspec.Struct):
    """https://bybit-exchange.github.io/docs/v5/asset/total-members-assets"""

    members: list[MemberAssets] | None = msgspec.field(name="list")


def read_subaccount_equity(client: Client, account: Account) -> Answer[Sequence[SubaccountEquity]]:
    """Reads the value of all wallets of all subaccounts of a master account. Raises BybitError for any failure."""
    answer = client.get(MEMBERS_ASSETS_PATH, {}, MembersAssetsResult, account)
    return answer.with_result(subaccount_equity(answer.result))


def subaccount_equity(result: MembersAssetsResult) -> Sequence[SubaccountEquity]:
    """Converts a valid answer. Wallets that the exchange marks as incomplete, and those of the master, are left out.

    Each wallet states itself whether it is complete. The totals are not considered.

    Raises:
        BybitError: ``malformed``, if a value is not a finite decimal number or a wallet is listed twice.
    """
    found: dict[tuple[str, str], SubaccountEquity] = {}
    for index, member in enumerate(result.members or ()):
        if member.is_master:
            continue
        for position, item in enumerate(member.items or ()):
            path = f"result.list[{index}].items[{position}]"
            usd = amount(item.origb or "", f"{path}.origb")
            if item.stat != COMPLETE or not item.origb:
                continue
            equity = SubaccountEquity(str(member.uid), item.type.removeprefix("ACCOUNT_TYPE_"), usd)
            if (equity.uid, equity.wallet) in found:
                raise BybitError(MALFORMED, f"{path}.type: listed twice")
            found[equity.uid, equity.wallet] = equity
    return list(found.values())
