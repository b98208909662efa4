"""What a UID of the embedded exchange has, whether or not it has a key: wallets and products."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from bybit_exporter.sandbox.margin import MarginMode
from bybit_exporter.sandbox.records import Product
from bybit_exporter.sandbox.wallets import FundingHolding, Holding, Table, UnifiedHolding, Wallet

#: States of a subaccount.
MEMBER_NORMAL, MEMBER_LOGIN_BANNED, MEMBER_FROZEN = 1, 2, 4

#: ``unifiedMarginStatus`` of a classic account and of a unified account of the second generation.
CLASSIC, UTA2 = 1, 5

Holdings = Mapping[str, Holding]
UnifiedHoldings = Mapping[str, UnifiedHolding]
FundingHoldings = Mapping[str, FundingHolding]


class Holder:
    """A UID with a unified wallet, a funding wallet and products.

    ``lock`` guards the rows. ``history`` is how many served states each table keeps.
    """

    def __init__(self, uid: int, lock: threading.RLock, history: int) -> None:
        self.uid = uid
        self.unified: Wallet[UnifiedHolding] = Wallet(lock, history)
        self.funding: Wallet[FundingHolding] = Wallet(lock, history)
        #: What lies outside the wallets, by the exchange's name of the product: ``Earn``, ``CryptoLoans`` and so on.
        self.products: Table[Product] = Table(lock, history)
        self.margin_mode: MarginMode = "REGULAR_MARGIN"
        #: What the exchange subtracts from the margin balance because not all coins count fully as collateral.
        self.haircut_usd = "0"
        #: What the exchange keeps from being withdrawn because of risk.
        self.risk_frozen_usd = "0"
        #: ``stat`` of the wallets ``FUND``, ``UNIFIED`` and ``SPOT`` in the answer about the assets of all members.
        #: Other than 0: the wallet could not be read, and counts as 0.
        self.wallet_stats: Mapping[str, int] = {}


class Member(Holder):
    """A subaccount as its master sees it. Attributes may be changed at any time, from any thread."""

    def __init__(self, uid: int, username: str, lock: threading.RLock, history: int) -> None:
        super().__init__(uid, lock, history)
        self.username = username
        self.status = MEMBER_NORMAL
        self.member_type = 1
        self.account_mode = UTA2
        self.remark = ""

    def __repr__(self) -> str:
        return f"Member({self.username!r}, uid={self.uid}, status={self.status})"
