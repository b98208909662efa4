"""The withdrawals under way of a funding wallet, over all pages of the last 30 days. Keys of master accounts only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from ..model import Account
from .amounts import ZERO, NonEmptyText, amount, plus
from .client import Answer, Client
from .paging import read_pages

WITHDRAWALS_PATH = "/v5/asset/withdraw/query-record"

PAGE_SIZE = 50
"""The most that the exchange allows."""

ENDED = frozenset({"success", "BlockchainConfirmed", "CancelByUser", "Reject", "Fail"})
"""The statuses of withdrawals that have ended. With any other status, the coins may still be in transfer."""


class Withdrawal(msgspec.Struct):
    """One withdrawal, on the chain or within the exchange."""

    coin: NonEmptyText
    amount: str
    status: str


class WithdrawalsPage(msgspec.Struct, rename="camel"):
    """https://bybit-exchange.github.io/docs/v5/asset/withdraw/withdraw-record"""

    rows: list[Withdrawal] | None = None
    next_page_cursor: str | None = None

    @property
    def next_cursor(self) -> str | None:
        """The cursor of the next page; None after the last. A page that is not full is the last, despite its cursor."""
        return self.next_page_cursor if len(self.rows or ()) >= PAGE_SIZE else None


def read_withdrawals(client: Client, account: Account) -> Answer[Mapping[str, Decimal]]:
    """Reads the sum of the withdrawals under way, by coin.

    Raises:
        BybitError: for any failure; ``auth`` if the key may not read withdrawals.
    """
    params = {"withdrawType": "2", "limit": str(PAGE_SIZE)}
    answer = read_pages(client, account, WITHDRAWALS_PATH, params, WithdrawalsPage, "cursor")
    return answer.with_result(under_way(row for page in answer.result for row in page.rows or ()))


def under_way(rows: Iterable[Withdrawal]) -> Mapping[str, Decimal]:
    """Sums the withdrawals that have not ended, by coin.

    Raises:
        BybitError: ``malformed``, if an amount is not a finite decimal number.
    """
    sums: dict[str, Decimal] = {}
    for index, row in enumerate(rows):
        field = f"result.rows[{index}].amount"
        quantity = amount(row.amount, field)
        if row.status not in ENDED:
            sums[row.coin] = plus(sums.get(row.coin, ZERO), quantity, field)
    return sums
