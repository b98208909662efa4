"""Makes the snapshot of a wallet from the rows of its answer, for all account types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from msgspec.structs import replace

from ...model import AccountSnapshot, AccountStatus, Balance, MarginSummary
from ..errors import MALFORMED, BybitError

T = TypeVar("T")


def read_balances(rows: Iterable[T], path: str, balance_of: Callable[[T], Balance]) -> dict[str, Balance]:
    """Reads every row, also those of coins that are not configured. ``path`` is the path of the rows in the answer.

    Raises:
        BybitError: ``malformed``, if an amount is not a finite decimal number or a coin is listed twice.
    """
    listed: dict[str, Balance] = {}
    for index, row in enumerate(rows):
        try:
            balance = balance_of(row)
            if balance.coin in listed:
                raise BybitError(MALFORMED, "coin: listed twice")
        except BybitError as error:
            error.prefix_path(f"{path}[{index}]")
            raise
        listed[balance.coin] = balance
    return listed


def wallet_snapshot(
    listed: Mapping[str, Balance],
    coins: tuple[str, ...] | None,
    not_held: Balance,
    status: AccountStatus = AccountStatus.NORMAL,
    raw_status: str = "",
    margin: MarginSummary | None = None,
) -> AccountSnapshot:
    """Makes the snapshot of these coins (None: of all). A coin that is not listed has the balance ``not_held``."""
    if coins is None:
        return AccountSnapshot(status, tuple(listed.values()), raw_status, margin=margin)
    selected = tuple([listed.get(coin) or replace(not_held, coin=coin) for coin in coins])
    unlisted = tuple([coin for coin in coins if coin not in listed])
    return AccountSnapshot(status, selected, raw_status, unlisted, margin)
