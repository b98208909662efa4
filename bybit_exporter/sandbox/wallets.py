"""Amounts of coins as the exchange states them, and tables that keep every state that was served."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from typing import Generic, Protocol, Self, TypeVar

#: More digits than any amount in a test has.
EXACT = Context(prec=80)


class Freezable(Protocol):
    """The amounts of one coin, a part of which can be frozen."""

    def freeze(self, amount: Decimal) -> Self:
        """A copy with this amount more frozen. A negative amount is released."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One coin in a classic account's spot wallet, exactly as the exchange states it."""

    free: str = "0"
    frozen: str = "0"
    withdraw: str = ""

    def freeze(self, amount: Decimal) -> Holding:
        """See :class:`Freezable`."""
        return replace(self, free=plus(self.free, -amount), frozen=plus(self.frozen, amount))


@dataclass(frozen=True, slots=True)
class UnifiedHolding:
    """One coin in a unified wallet, in units of the coin.

    ``wallet_balance`` contains ``spot_borrow``, as on the exchange since September 2025: a coin that was borrowed and
    sold has a wallet balance of 0. A debt from derivatives is a negative wallet balance.
    https://bybit-exchange.github.io/docs/v5/account/wallet-balance
    """

    wallet_balance: str = "0"
    locked: str = "0"
    #: What ``equity`` is worth in USD. None: computed from the prices of the exchange.
    usd_value: str | None = None
    #: Both kinds of debt. None: computed from the two fields that hold them.
    borrow_amount: str | None = None
    spot_borrow: str = "0"
    unrealised_pnl: str = "0"
    accrued_interest: str = "0"
    #: Margin of open orders and positions. In portfolio margin the exchange does not state it per coin.
    order_im: str = "0"
    position_im: str = "0"
    position_mm: str = "0"
    bonus: str = "0"

    @property
    def net_balance(self) -> Decimal:
        """The wallet balance without what was borrowed for spot."""
        return EXACT.subtract(decimal(self.wallet_balance), decimal(self.spot_borrow))

    @property
    def equity(self) -> str:
        """The wallet balance without spot loans, plus unrealised profit and loss."""
        return plus(self.unrealised_pnl, self.net_balance)

    @property
    def debt(self) -> str:
        """Spot loans and debts from derivatives together."""
        if self.borrow_amount is not None:
            return self.borrow_amount
        return plus(self.spot_borrow, max(Decimal(0), -decimal(self.wallet_balance)))

    @property
    def is_zero(self) -> bool:
        """Neither an asset nor a debt: the exchange lists the coin only if the request names it."""
        return not any(decimal(amount) for amount in (self.wallet_balance, self.equity, self.debt))

    def freeze(self, amount: Decimal) -> UnifiedHolding:
        """See :class:`Freezable`."""
        return replace(self, locked=plus(self.locked, amount))


@dataclass(frozen=True, slots=True)
class FundingHolding:
    """One coin in a funding wallet. A part of it may not be transferable."""

    wallet_balance: str = "0"
    #: None: all of it.
    transfer_balance: str | None = None

    @property
    def transferable(self) -> str:
        """The amount that may be transferred."""
        return self.wallet_balance if self.transfer_balance is None else self.transfer_balance

    def freeze(self, amount: Decimal) -> FundingHolding:
        """See :class:`Freezable`."""
        return replace(self, transfer_balance=plus(self.transferable, -amount))


Row = TypeVar("Row")
Coin = TypeVar("Coin", bound=Freezable)


class Table(Generic[Row]):
    """Rows by name. The mapping is replaced and never edited, so each answer shows one consistent state."""

    def __init__(self, lock: threading.RLock, history: int) -> None:
        self.rows: Mapping[str, Row] = {}
        #: Every state that was put into an answer, oldest first (bounded). A fault may have lost the answer.
        self.served: deque[Mapping[str, Row]] = deque(maxlen=history)
        self._lock = lock

    def update(self, changes: Mapping[str, Row | None]) -> None:
        """Set some rows in one step. None removes a row."""
        with self._lock:
            merged = {**self.rows, **changes}
            self.rows = {name: row for name, row in merged.items() if row is not None}

    def serve(self) -> Mapping[str, Row]:
        """The current rows, which are added to ``served``."""
        rows = self.rows
        if not self.served or self.served[-1] is not rows:
            self.served.append(rows)
        return rows


class Wallet(Table[Coin]):
    """A table of coins by name."""

    def freeze(self, coin: str, amount: str) -> None:
        """Freeze an amount: frozen, locked or not transferable. A negative amount is released."""
        with self._lock:
            self.rows = {**self.rows, coin: self.rows[coin].freeze(Decimal(amount))}


def decimal(amount: str) -> Decimal:
    """The number that an amount states; ``""`` is 0."""
    return Decimal(amount or "0")


def plus(amount: str, step: Decimal) -> str:
    """The exact sum as a decimal string without an exponent; an amount of ``""`` is 0."""
    return format(EXACT.add(decimal(amount), step), "f")
