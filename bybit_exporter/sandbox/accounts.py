"""Accounts of the embedded exchange: a key, wallets, and the moods a test or the demo puts them in."""

from __future__ import annotations

import hashlib
import hmac
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from bybit_exporter.sandbox.keys import MASTER_PERMISSIONS, MEMBER_PERMISSIONS, Key, random_text
from bybit_exporter.sandbox.limits import RateLimit
from bybit_exporter.sandbox.margin import MarginMode
from bybit_exporter.sandbox.messages import Fault, Recorded, Refusal
from bybit_exporter.sandbox.records import Product, Withdrawal
from bybit_exporter.sandbox.wallets import FundingHolding, Holding, Table, UnifiedHolding, Wallet

if TYPE_CHECKING:
    from bybit_exporter.sandbox.exchange import Exchange

NORMAL = "ACCOUNT_STATUS_NORMAL"
BANNED = "ACCOUNT_STATUS_UNSPECIFIED"

MEMBER_NORMAL, MEMBER_LOGIN_BANNED, MEMBER_FROZEN = 1, 2, 4
CLASSIC, UTA2 = 1, 5

Holdings = Mapping[str, Holding]
UnifiedHoldings = Mapping[str, UnifiedHolding]
FundingHoldings = Mapping[str, FundingHolding]


class Holder:
    """A UID and what every UID has: a unified wallet, a funding wallet and products."""

    def __init__(self, exchange: Exchange, uid: int, unified: UnifiedHoldings, funding: FundingHoldings) -> None:
        self.uid = uid
        self.exchange = exchange
        self.unified: Wallet[UnifiedHolding] = Wallet(unified, exchange.lock, exchange.history)
        self.funding: Wallet[FundingHolding] = Wallet(funding, exchange.lock, exchange.history)
        #: What lies outside the wallets, by the exchange's word for the product: ``Earn``, ``CryptoLoans`` and so on.
        self.products: Table[Product] = Table({}, exchange.lock, exchange.history)
        self.margin_mode: MarginMode = "REGULAR_MARGIN"
        #: What the exchange subtracts from the margin balance because not all coins count fully as collateral.
        self.haircut_usd = "0"
        #: What the exchange keeps from being withdrawn because of risk.
        self.risk_frozen_usd = "0"
        #: ``stat`` in the assets of all members: of the wallets ``FUND``, ``UNIFIED`` and ``SPOT``. A wallet whose
        #: stat is not 0 could not be read, so it counts as 0.
        self.wallet_stats: Mapping[str, int] = {}


class Member(Holder):
    """A subaccount as its master sees it. Attributes may be changed at any time, from any thread."""

    def __init__(self, exchange: Exchange, uid: int, username: str, funding: FundingHoldings) -> None:
        super().__init__(exchange, uid, {}, funding)
        self.username = username
        self.status = MEMBER_NORMAL
        self.member_type = 1
        self.account_mode = UTA2
        self.remark = ""

    def __repr__(self) -> str:
        return f"Member({self.username!r}, uid={self.uid}, status={self.status})"


class Account(Holder):
    """One key of one UID. Attributes may be changed at any time, from any thread.

    A classic account has a spot wallet, a unified one has a unified wallet; ``holdings``, ``served``, ``update`` and
    ``move`` are those of the spot wallet.
    """

    def __init__(self, exchange: Exchange, name: str, uid: int, parent: Account | None = None) -> None:
        super().__init__(exchange, uid, {}, {})
        self.name = name
        permissions = MEMBER_PERMISSIONS if parent else MASTER_PERMISSIONS
        self.key = Key(random_text(18), random_text(36), exchange.now(), permissions=permissions, note=name)
        self.spot: Wallet[Holding] = Wallet({}, exchange.lock, exchange.history)
        self.withdrawals: Table[Withdrawal] = Table({}, exchange.lock, exchange.history)
        #: The master account it is a subaccount of; None for a master account.
        self.parent = parent
        #: A master account's subaccounts by UID.
        self.members: dict[int, Member] = {}
        #: The raw word of the spot wallet: ``NORMAL``, ``BANNED`` or anything else.
        self.status = NORMAL
        #: ``unified``: the spot endpoint refuses with ``mode_code``, for which Bybit also uses 100028.
        self.mode: Literal["classic", "unified"] = "classic"
        self.mode_code = 10008
        #: Which unified account it is, if it is one: 3 and 4 are UTA 1.0, 5 and 6 UTA 2.0.
        self.unified_margin_status = UTA2
        #: Every private request is refused with this, e.g. ``Refusal(10027)``; or those to one path.
        self.refusal: Refusal | None = None
        self.refusals: dict[str, Refusal] = {}
        #: What goes wrong with every answer; or with those to one path, which goes first.
        self.fault: Fault | None = None
        self.faults: dict[str, Fault] = {}
        #: Instead of each endpoint's own limit.
        self.limit: RateLimit | None = None
        #: Paths that do not exist for this account: 10017 with HTTP 404.
        self.missing_paths: frozenset[str] = frozenset()
        #: Whether also the last page of withdrawals has a cursor that is not empty, as was seen on the exchange.
        self.last_page_has_cursor = False
        #: What ``rows`` is on a page without withdrawals.
        self.empty_rows: Literal["list", "null", "absent"] = "list"
        #: ``stat`` of the whole answer about the assets of all members; other than 0: incomplete.
        self.members_stat = 0
        #: Called with the account and the time before each answer: figures that move without a thread.
        self.behaviour: Callable[[Account, float], None] | None = None
        #: Whether a signature is right; replace it for a key that is not HMAC: ``(text, signature) -> bool``.
        self.verify: Callable[[str, str], bool] = self._verify_hmac
        self.request_count = 0

    def __repr__(self) -> str:
        return f"Account({self.name!r}, uid={self.uid})"

    def share(self, other: Account) -> None:
        """Be a further key of the same UID: what belongs to the UID is the other account's."""
        self.parent, self.members, self.withdrawals = other.parent, other.members, other.withdrawals
        self.spot, self.unified, self.funding = other.spot, other.unified, other.funding
        self.products, self.margin_mode, self.haircut_usd = other.products, other.margin_mode, other.haircut_usd
        self.risk_frozen_usd, self.wallet_stats = other.risk_frozen_usd, other.wallet_stats
        self.status, self.mode, self.mode_code = other.status, other.mode, other.mode_code
        self.unified_margin_status, self.key.permissions = other.unified_margin_status, other.key.permissions

    @property
    def api_key(self) -> str:
        """The key; ``exchange.rotate_key`` changes it."""
        return self.key.api_key

    @property
    def api_secret(self) -> str:
        """The secret."""
        return self.key.api_secret

    @property
    def holdings(self) -> Holdings:
        """The spot wallet. Replace it whole, never edit it."""
        return self.spot.rows

    @holdings.setter
    def holdings(self, holdings: Holdings) -> None:
        self.spot.rows = holdings

    @property
    def served(self) -> deque[Holdings]:
        """Every state of the spot wallet ever put into an answer, oldest first (bounded)."""
        return self.spot.served

    @property
    def requests(self) -> list[Recorded]:
        """The latest requests made with this account's key; ``request_count`` counts them all."""
        return [recorded for recorded in self.exchange.requests if recorded.account == self.name]

    def update(self, changes: Mapping[str, Holding | None]) -> None:
        """Set some coins of the spot wallet at once; None makes a coin vanish from the listing."""
        self.spot.update(changes)

    def move(self, coin: str, amount: str) -> None:
        """Freeze an amount in the spot wallet, or with a minus sign release it. The sum stays what it was."""
        self.spot.move(coin, amount)

    def add_member(self, username: str, funding: FundingHoldings | None = None, uid: int | None = None) -> Member:
        """A subaccount without a key of its own; ``exchange.add_account(..., parent=...)`` makes one with a key."""
        with self.exchange.lock:
            member = Member(self.exchange, uid or self.exchange.next_uid(), username, funding or {})
            self.members[member.uid] = member
            return member

    def withdraw(self, coin: str, amount: str, status: str = "SecurityCheck", *, age: float = 0.0) -> Withdrawal:
        """Record a withdrawal, made so many seconds ago. It does not touch the wallets."""
        with self.exchange.lock:
            made = self.exchange.now() - age
            withdrawal = Withdrawal(self.exchange.next_withdraw_id(), coin, amount, made, made, status)
            self.withdrawals.update({withdrawal.withdraw_id: withdrawal})
            return withdrawal

    def set_withdrawal(self, withdraw_id: str, status: str) -> None:
        """Let a withdrawal go on to its next status."""
        with self.exchange.lock:
            old = self.withdrawals.rows[withdraw_id]
            self.withdrawals.update({withdraw_id: replace(old, status=status, updated_at=self.exchange.now())})

    def _verify_hmac(self, text: str, signature: str) -> bool:
        expected = hmac.new(self.api_secret.encode(), text.encode("latin-1"), hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.encode("latin-1"))
