"""Records of the exchange: withdrawals, prices and products."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

#: The status words of withdrawals that are under way, and of those that have ended.
UNDER_WAY = ("SecurityCheck", "Pending", "MoreInformationRequired", "Unknown")
ENDED = ("success", "BlockchainConfirmed", "CancelByUser", "Reject", "Fail")

ON_CHAIN, OFF_CHAIN = 0, 1


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """One withdrawal. Times are Unix seconds by the exchange's own clock."""

    withdraw_id: str
    coin: str
    amount: str
    created_at: float
    updated_at: float
    status: str = "SecurityCheck"
    fee: str = "0"
    chain: str = "ETH"
    withdraw_type: int = ON_CHAIN

    @property
    def transaction_id(self) -> str:
        """An invented hash. ``""`` until the withdrawal was sent, and if it was cancelled or rejected."""
        if self.status not in ("success", "BlockchainConfirmed"):
            return ""
        return "0x" + hashlib.sha256(self.withdraw_id.encode()).hexdigest()

    @property
    def to_address(self) -> str:
        """An invented address, or for an internal transfer the UID of another customer."""
        digest = hashlib.sha256(f"to {self.withdraw_id}".encode()).hexdigest()
        return "0x" + digest[:40] if self.withdraw_type == ON_CHAIN else str(int(digest[:7], 16))


@dataclass(frozen=True, slots=True)
class Ticker:
    """One spot pair. ``usd_index_price`` is the base coin's price in USD, ``""`` for some."""

    last_price: str
    usd_index_price: str = ""
    #: None: the same as the last price.
    bid: str | None = None
    ask: str | None = None
    day_before: str | None = None
    volume: str = "1000"


@dataclass(frozen=True, slots=True)
class Product:
    """What an account has in one product, such as Earn or a loan, in units of each coin.

    A product has either coins of its own or categories with coins. A debt is negative.
    """

    coins: Mapping[str, str] = field(default_factory=dict)
    categories: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: How many seconds before the answer the exchange took the figures.
    snapshot_age: float = 0.0
