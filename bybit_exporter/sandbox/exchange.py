"""The state of the embedded exchange: accounts, prices, clock, faults, and the requests that were received.

Everything that a test may want to change is a plain attribute of :class:`Exchange` or :class:`Account`. The rules by
which requests are answered are in :mod:`bybit_exporter.sandbox.api`.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Literal

from bybit_exporter.sandbox.holders import UTA2, FundingHoldings, Holder, Holdings, Member, UnifiedHoldings
from bybit_exporter.sandbox.keys import MASTER_PERMISSIONS, MEMBER_PERMISSIONS, Key, random_text
from bybit_exporter.sandbox.limits import AddressLimiter, Limits, RateLimit, RollingWindow
from bybit_exporter.sandbox.messages import Fault, Recorded, Refusal, Request, Response
from bybit_exporter.sandbox.records import Ticker, Withdrawal
from bybit_exporter.sandbox.valuation import ZERO, funding_usd, spot_usd, unified_usd
from bybit_exporter.sandbox.wallets import Holding, Table, Wallet

#: Status words of a spot wallet.
NORMAL = "ACCOUNT_STATUS_NORMAL"
BANNED = "ACCOUNT_STATUS_UNSPECIFIED"


class Account(Holder):
    """A UID with a key. Attributes may be changed at any time, from any thread.

    A classic account has a spot wallet, a unified account has a unified wallet. ``holdings``, ``served``, ``update``
    and ``freeze`` are those of the spot wallet.
    """

    def __init__(self, exchange: Exchange, name: str, uid: int, parent: Account | None = None) -> None:
        super().__init__(uid, exchange.lock, exchange.history)
        self.exchange = exchange
        self.name = name
        permissions = MEMBER_PERMISSIONS if parent else MASTER_PERMISSIONS
        self.key = Key(random_text(18), random_text(36), exchange.now(), permissions=permissions, note=name)
        self.spot: Wallet[Holding] = Wallet(exchange.lock, exchange.history)
        self.withdrawals: Table[Withdrawal] = Table(exchange.lock, exchange.history)
        #: The master account of a subaccount; None for a master account.
        self.parent = parent
        #: The subaccounts of a master account by UID.
        self.members: dict[int, Member] = {}
        #: The status word of the spot wallet: ``NORMAL``, ``BANNED`` or any other text.
        self.status = NORMAL
        #: ``unified``: the spot endpoint refuses with ``mode_code``; Bybit uses 10008 and 100028.
        self.mode: Literal["classic", "unified"] = "classic"
        self.mode_code = 10008
        #: ``unifiedMarginStatus`` of a unified account: 3 and 4 are UTA 1.0, 5 and 6 UTA 2.0.
        self.unified_margin_status = UTA2
        #: Every private request is refused with this, such as ``Refusal(10027)``. By path: only requests to it.
        self.refusal: Refusal | None = None
        self.refusals: dict[str, Refusal] = {}
        #: What goes wrong with every answer. By path: only with answers of it; this one has priority.
        self.fault: Fault | None = None
        self.faults: dict[str, Fault] = {}
        #: Replaces the limit of every endpoint.
        self.limit: RateLimit | None = None
        #: Paths that do not exist for this account: 10017 with HTTP 404.
        self.missing_paths: frozenset[str] = frozenset()
        #: Whether the last page of withdrawals has a cursor, too, as was seen on the exchange.
        self.last_page_has_cursor = False
        #: What ``rows`` is on a page without withdrawals.
        self.empty_rows: Literal["list", "null", "absent"] = "list"
        #: ``stat`` of the whole answer about the assets of all members; other than 0: incomplete.
        self.members_stat = 0
        #: Called with the account and the time before each answer, to change its figures.
        self.behaviour: Callable[[Account, float], None] | None = None
        #: Checks a signature, ``(text, signature) -> bool``. Replace it for a key that is not HMAC.
        self.verify: Callable[[str, str], bool] = self._verify_hmac
        self.request_count = 0

    def __repr__(self) -> str:
        return f"Account({self.name!r}, uid={self.uid})"

    def share_uid(self, other: Account) -> None:
        """Become one more key of another account's UID: everything that belongs to the UID is shared or copied."""
        self.parent, self.members, self.withdrawals = other.parent, other.members, other.withdrawals
        self.spot, self.unified, self.funding = other.spot, other.unified, other.funding
        self.products, self.margin_mode, self.haircut_usd = other.products, other.margin_mode, other.haircut_usd
        self.risk_frozen_usd, self.wallet_stats = other.risk_frozen_usd, other.wallet_stats
        self.status, self.mode, self.mode_code = other.status, other.mode, other.mode_code
        self.unified_margin_status, self.key.permissions = other.unified_margin_status, other.key.permissions

    @property
    def api_key(self) -> str:
        """The key. ``exchange.rotate_key`` changes it."""
        return self.key.api_key

    @property
    def api_secret(self) -> str:
        """The secret of the key."""
        return self.key.api_secret

    @property
    def holdings(self) -> Holdings:
        """The rows of the spot wallet. Assign a new mapping to change them; never edit them in place."""
        return self.spot.rows

    @holdings.setter
    def holdings(self, holdings: Holdings) -> None:
        self.spot.rows = holdings

    @property
    def served(self) -> deque[Holdings]:
        """Every state of the spot wallet that was put into an answer, oldest first (bounded)."""
        return self.spot.served

    @property
    def requests(self) -> list[Recorded]:
        """The latest requests made with this account's key. ``request_count`` counts them all."""
        return [recorded for recorded in self.exchange.requests if recorded.account == self.name]

    def update(self, changes: Mapping[str, Holding | None]) -> None:
        """Set some coins of the spot wallet in one step. None removes a coin."""
        self.spot.update(changes)

    def freeze(self, coin: str, amount: str) -> None:
        """Move an amount of the spot wallet from free to frozen. A negative amount is released."""
        self.spot.freeze(coin, amount)

    def add_member(self, username: str, funding: FundingHoldings | None = None, uid: int | None = None) -> Member:
        """Add a subaccount without a key. ``exchange.add_account(..., parent=...)`` adds one with a key."""
        with self.exchange.lock:
            member = Member(uid or self.exchange.next_uid(), username, self.exchange.lock, self.exchange.history)
            member.funding.update(funding or {})
            self.members[member.uid] = member
            return member

    def withdraw(self, coin: str, amount: str, status: str = "SecurityCheck", *, age: float = 0.0) -> Withdrawal:
        """Record a withdrawal that was made ``age`` seconds ago. The wallets do not change."""
        with self.exchange.lock:
            made = self.exchange.now() - age
            withdrawal = Withdrawal(self.exchange.next_withdraw_id(), coin, amount, made, made, status)
            self.withdrawals.update({withdrawal.withdraw_id: withdrawal})
            return withdrawal

    def set_withdrawal(self, withdraw_id: str, status: str) -> None:
        """Set the status of a withdrawal."""
        with self.exchange.lock:
            old = self.withdrawals.rows[withdraw_id]
            self.withdrawals.update({withdraw_id: replace(old, status=status, updated_at=self.exchange.now())})

    def total_usd(self, *wallets: str) -> Decimal:
        """The worth of these wallets (``SPOT``, ``UNIFIED``, ``FUND``), of all if none is named; debts subtracted.

        A coin without a price counts as 0. Products lie outside the wallets and are not included.
        """
        tickers = self.exchange.tickers.rows
        values = {
            "SPOT": spot_usd(self.spot.rows, tickers),
            "UNIFIED": unified_usd(self.unified.rows, tickers),
            "FUND": funding_usd(self.funding.rows, tickers, self.withdrawals.rows),
        }
        return sum((values[wallet] for wallet in wallets or values), ZERO)

    def _verify_hmac(self, text: str, signature: str) -> bool:
        expected = hmac.new(self.api_secret.encode(), text.encode("latin-1"), hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.encode("latin-1"))


class Exchange:
    """Accounts, prices, clock, limits and faults.

    ``clock`` gives Unix seconds. ``history`` bounds the recorded requests and the served states of each table.
    """

    def __init__(
        self, clock: Callable[[], float] = time.time, limits: Limits | None = None, history: int = 10_000
    ) -> None:
        self.clock = clock
        self.limits = limits or Limits()
        self.history = history
        #: Seconds by which the exchange's clock is ahead of ``clock``.
        self.clock_skew = 0.0
        #: What goes wrong with every answer, public endpoints included. By path: only with answers of it. A fault of
        #: the account has priority.
        self.fault: Fault | None = None
        self.faults: dict[str, Fault] = {}
        #: Paths that do not exist on this host, such as ``NOT_IN_REGIONS``: 10017 with HTTP 404.
        self.missing_paths: frozenset[str] = frozenset()
        self.accounts: dict[str, Account] = {}
        self.request_count = 0
        #: Refusals by account name (or address, where the key is unknown), path and code.
        self.refused: Counter[tuple[str, str, int]] = Counter()
        #: Exceeded limits by account name or address, and path. Empty if clients kept to the limits.
        self.exceeded: Counter[tuple[str, str]] = Counter()
        self.lock = threading.RLock()
        #: The pairs of the spot market by symbol.
        self.tickers: Table[Ticker] = Table(self.lock, history)
        #: Called with the exchange and the time before each answer, to change prices and the like.
        self.behaviour: Callable[[Exchange, float], None] | None = None
        #: Called with each request and the response to it, before faults.
        self.observer: Callable[[Request, Response], None] | None = None
        self.windows: dict[tuple[int, str], RollingWindow] = {}
        self.addresses = AddressLimiter(self.limits)
        self._uids = count(100_000_001)
        self._withdraw_ids = count(130_000_001)
        self._requests: deque[Recorded] = deque(maxlen=history)
        self._by_key: dict[str, Account] = {}
        self._by_uid: dict[int, Account] = {}

    def add_account(
        self,
        name: str,
        holdings: Holdings | None = None,
        *,
        unified: UnifiedHoldings | None = None,
        funding: FundingHoldings | None = None,
        parent: Account | None = None,
        api_key: str | None = None,
        api_secret: str | None = None,
        uid: int | None = None,
    ) -> Account:
        """Add an account: a unified one if ``unified`` is given, else a classic one.

        Key and secret are random unless given. With ``parent`` it is a subaccount of that master account. With the
        ``uid`` of another account it is one more key to the same wallets and limits.
        """
        with self.lock:
            if name in self.accounts or api_key in self._by_key:
                raise ValueError(f"account {name!r} or its key exists already")
            account = Account(self, name, uid or self.next_uid(), parent)
            account.key.api_key = api_key or account.api_key
            account.key.api_secret = api_secret or account.api_secret
            self._link_wallets(account)
            account.spot.update(holdings or {})
            account.funding.update(funding or {})
            if unified is not None:
                account.mode = "unified"
                account.unified.update(unified)
            self.accounts[name] = self._by_key[account.api_key] = account
            return account

    def _link_wallets(self, account: Account) -> None:
        """Use the wallets that the UID has already, if it is known."""
        first = self._by_uid.setdefault(account.uid, account)
        if first is not account:
            account.share_uid(first)
        elif account.parent:
            member = account.parent.members.get(account.uid)
            member = member or account.parent.add_member(account.name, uid=account.uid)
            account.unified, account.funding, account.products = member.unified, member.funding, member.products

    def rotate_key(self, account: Account, api_key: str | None = None, api_secret: str | None = None) -> None:
        """Replace the key of an account. The old key is unknown from now on."""
        with self.lock:
            del self._by_key[account.api_key]
            new_key, new_secret = api_key or random_text(18), api_secret or random_text(36)
            account.key = replace(account.key, api_key=new_key, api_secret=new_secret, created_at=self.now())
            self._by_key[account.api_key] = account

    def owner(self, request: Request) -> Account | None:
        """The account whose key the request carries, whether or not its signature is right."""
        return self._by_key.get(request.headers.get("x-bapi-api-key", ""))

    @property
    def requests(self) -> list[Recorded]:
        """The latest requests, oldest first. ``request_count`` counts them all."""
        with self.lock:
            return list(self._requests)

    def record(self, request: Request) -> None:
        """Add a request to the record and to the counts."""
        account = self.owner(request)
        self._requests.append(Recorded(self.clock(), request, account.name if account else None))
        self.request_count += 1
        if account:
            account.request_count += 1

    def advance(self) -> None:
        """Run every behaviour, so that all figures are those of the current time."""
        with self.lock:
            if self.behaviour:
                self.behaviour(self, self.clock())
            for account in self.accounts.values():
                if account.behaviour:
                    account.behaviour(account, self.clock())

    def now(self) -> float:
        """The exchange's own clock in Unix seconds."""
        return self.clock() + self.clock_skew

    def now_ms(self) -> int:
        """The exchange's own clock in Unix milliseconds. Rounded first, because binary fractions are inexact."""
        return math.floor(round(self.now() * 1000, 3))

    def next_uid(self) -> int:
        """A UID that no account has."""
        return next(uid for uid in self._uids if uid not in self._by_uid)

    def next_withdraw_id(self) -> str:
        """The id of a new withdrawal, greater than all before."""
        return str(next(self._withdraw_ids))
