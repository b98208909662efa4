"""The endpoint about withdrawals, newest first, in pages."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from bybit_exporter.sandbox.endpoints import parameters
from bybit_exporter.sandbox.endpoints.routes import Answer, Query
from bybit_exporter.sandbox.exchange import Account
from bybit_exporter.sandbox.records import ON_CHAIN, Withdrawal

MOST_ROWS = 50
ALL_TYPES = 2
DAY_MS = 86_400_000
LONGEST_MS = 30 * DAY_MS


def withdrawals(account: Account, query: Query) -> Answer:
    """https://bybit-exchange.github.io/docs/v5/asset/withdraw/withdraw-record"""
    limit = parameters.whole(query, "limit", MOST_ROWS, 1, MOST_ROWS)
    before = _read_cursor(query.get("cursor", ""))
    matching = [each for each in _matching(account, query) if before is None or int(each.withdraw_id) < before]
    matching.sort(key=lambda each: int(each.withdraw_id), reverse=True)
    page = matching[:limit]
    has_cursor = page and (len(matching) > limit or account.last_page_has_cursor)
    cursor = {"nextPageCursor": _cursor(page) if has_cursor else ""}
    if page or account.empty_rows == "list":
        return "success", {"rows": [_row(each) for each in page], **cursor}
    return "success", cursor if account.empty_rows == "absent" else {"rows": None, **cursor}


def _matching(account: Account, query: Query) -> list[Withdrawal]:
    """The withdrawals that match all parameters except the cursor."""
    start, end = _period(account, query)
    wanted_type = parameters.whole(query, "withdrawType", ON_CHAIN, most=ALL_TYPES)
    wanted = {
        "coin": parameters.coin(query),
        "withdraw_id": query.get("withdrawID", ""),
        "transaction_id": query.get("txID", ""),
    }
    return [
        each
        for each in account.withdrawals.serve().values()
        if start <= each.created_at * 1000 <= end
        and wanted_type in (ALL_TYPES, each.withdraw_type)
        and all(value in ("", getattr(each, name)) for name, value in wanted.items())
    ]


def _period(account: Account, query: Query) -> tuple[int, int]:
    """Start and end in milliseconds: the last 30 days unless given, and at most 30 days."""
    start, end = (parameters.whole(query, name, 0) for name in ("startTime", "endTime"))
    if not end:
        end = start + LONGEST_MS if start else account.exchange.now_ms()
    if not start:
        start = max(0, end - LONGEST_MS)
    if not 0 <= end - start <= LONGEST_MS:
        raise parameters.bad("startTime", f"{start}, endTime {end}", "a period of at most 30 days")
    return start, end


def _cursor(page: list[Withdrawal]) -> str:
    """A cursor that is opaque to the client, as the exchange's is."""
    ends = {"minID": int(page[-1].withdraw_id), "maxID": int(page[0].withdraw_id)}
    return base64.b64encode(json.dumps(ends, separators=(",", ":")).encode()).decode()


def _read_cursor(cursor: str) -> int | None:
    """The id of the last withdrawal on the previous page; None for the first page."""
    if not cursor:
        return None
    try:
        return int(json.loads(base64.b64decode(cursor, validate=True))["minID"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise parameters.bad("cursor", cursor, "a cursor of an earlier answer") from None


def _row(each: Withdrawal) -> dict[str, Any]:
    return {
        "coin": each.coin,
        "chain": each.chain,
        "amount": each.amount,
        "txID": each.transaction_id,
        "status": each.status,
        "toAddress": each.to_address,
        "tag": "",
        "withdrawFee": each.fee,
        "createTime": str(round(each.created_at * 1000)),
        "updateTime": str(round(each.updated_at * 1000)),
        "withdrawId": each.withdraw_id,
        "withdrawType": each.withdraw_type,
        "fee": "",
        "tax": "",
        "taxRate": "",
        "taxType": "",
    }
