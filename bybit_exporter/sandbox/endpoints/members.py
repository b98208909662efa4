"""Endpoints about the subaccounts of a master account: the list, and the worth of each wallet."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bybit_exporter.sandbox.endpoints import parameters
from bybit_exporter.sandbox.endpoints.routes import Answer, Query
from bybit_exporter.sandbox.exchange import Account
from bybit_exporter.sandbox.holders import CLASSIC, Holder, Member
from bybit_exporter.sandbox.messages import Refusal
from bybit_exporter.sandbox.valuation import ZERO, Tickers, funding_usd, spot_usd, unified_usd, usd_price, usd_text
from bybit_exporter.sandbox.wallets import EXACT

MOST_MEMBERS = 100


def submembers(account: Account, query: Query) -> Answer:
    """https://bybit-exchange.github.io/docs/v5/user/page-subuid: the latest first; the cursor is the last one's UID."""
    size = parameters.whole(query, "pageSize", MOST_MEMBERS, 1, MOST_MEMBERS)
    before = parameters.whole(query, "nextCursor", 0)
    uids = sorted((uid for uid in account.members if not before or uid < before), reverse=True)
    page = uids[:size]
    cursor = str(page[-1]) if len(uids) > size else "0"
    return "", {"subMembers": [_member(account.members[uid]) for uid in page], "nextCursor": cursor}


def _member(member: Member) -> dict[str, Any]:
    return {
        "uid": str(member.uid),
        "username": member.username,
        "memberType": member.member_type,
        "status": member.status,
        "remark": member.remark,
        "accountMode": member.account_mode,
    }


def total_members_assets(account: Account, query: Query) -> Answer:
    """https://bybit-exchange.github.io/docs/v5/asset/total-members-assets: ``origb`` in USD, ``quoteb`` in ``coin``."""
    coin = parameters.coin(query) or "BTC"
    tickers = account.exchange.tickers.rows
    price = usd_price(tickers, coin)
    listed = [_assets({"uid": account.uid, "isM": True}, account, _wallets(account, tickers), price)]
    for member in account.members.values():
        head = {"uid": member.uid, "type": member.member_type}
        listed.append(_assets(head, member, _wallets(member, tickers), price))
    total = sum((Decimal(each["origb"]) for each in listed), ZERO)
    worth = {"total": usd_text(total), "quoteTotal": _quoted(total, price)}
    return "Success", {**worth, "stat": account.members_stat, "list": listed}


def member_or_self(account: Account, query: Query) -> Holder:
    """The holder that ``memberId`` names: the account itself, or a subaccount of this master account."""
    uid = parameters.whole(query, "memberId", account.uid)
    if uid == account.uid:
        return account
    if account.parent is not None:
        raise Refusal(10005)
    if uid not in account.members:
        raise Refusal(131202)
    return account.members[uid]


def _wallets(holder: Account | Member, tickers: Tickers) -> dict[str, Decimal]:
    """The worth of each wallet in USD, by the exchange's name of it."""
    wallets = {"FUND": funding_usd(holder.funding.rows, tickers)}
    if isinstance(holder, Account) and holder.mode == "classic":
        return {**wallets, "SPOT": spot_usd(holder.spot.rows, tickers)}
    if isinstance(holder, Member) and holder.account_mode == CLASSIC:
        return wallets
    return {**wallets, "UNIFIED": unified_usd(holder.unified.rows, tickers)}


def _assets(
    head: Mapping[str, Any], holder: Holder, wallets: Mapping[str, Decimal], price: Decimal | None
) -> dict[str, Any]:
    """One master or subaccount. A wallet that could not be read counts as 0."""
    stats = {wallet: holder.wallet_stats.get(wallet, 0) for wallet in wallets}
    read = {wallet: ZERO if stats[wallet] else worth for wallet, worth in wallets.items()}
    items = [
        {"type": f"ACCOUNT_TYPE_{wallet}", **_worth(worth, price), "stat": stats[wallet]}
        for wallet, worth in read.items()
    ]
    return {**head, "stat": max(stats.values()), **_worth(sum(read.values(), ZERO), price), "items": items}


def _worth(usd: Decimal, price: Decimal | None) -> dict[str, str]:
    return {"origb": usd_text(usd), "quoteb": _quoted(usd, price)}


def _quoted(usd: Decimal, price: Decimal | None) -> str:
    """An amount of USD in a coin of this price; 0 where there is none."""
    return usd_text(EXACT.divide(usd, price)) if price else "0"
