"""The data that flows from the exchange to the exposition: frozen, plain, no I/O.

Times named ``*_at`` are seconds of the staleness clock (`bybit_exporter.clock`), times named
``*_timestamp`` are Unix time; amounts are in units of the coin.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

STALE_AFTER_INTERVALS = 3
"""So many intervals long a figure is shown without being read again, unless the configuration says another time."""


class AccountType(StrEnum):
    """The wallet that is read, in the exchange's own words."""

    SPOT = "SPOT"
    UNIFIED = "UNIFIED"
    FUND = "FUND"
    AUTO = "auto"
    """SPOT or UNIFIED, whichever the exchange says that the account has."""


class AccountStatus(StrEnum):
    """The state of an account, as the exchange reports it."""

    NORMAL = "normal"
    BANNED = "banned"
    UNKNOWN = "unknown"


class SubaccountStatus(StrEnum):
    """The state of a subaccount, as the exchange reports it."""

    NORMAL = "normal"
    LOGIN_BANNED = "login_banned"
    FROZEN = "frozen"
    UNKNOWN = "unknown"


class FailureReason(StrEnum):
    """Why a poll failed: the values of the label ``reason``."""

    NETWORK = "network"
    TIMEOUT = "timeout"
    SERVER = "server"
    RATE_LIMIT = "rate_limit"
    IP_RATE_LIMIT = "ip_rate_limit"
    CLOCK = "clock"
    AUTH = "auth"
    ACCOUNT_MODE = "account_mode"
    REGION = "region"
    BANNED = "banned"
    REQUEST = "request"
    MALFORMED = "malformed"
    API = "api"
    INTERNAL = "internal"


class Secret:
    """A text that no log, traceback, format string or pickle shows. `reveal` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is not serialised")


@dataclass(frozen=True, slots=True)
class Account:
    """An account to be polled, as configured."""

    name: str
    account_type: AccountType
    coins: tuple[str, ...] | None
    """None: every coin that the exchange lists."""
    api_key: Secret
    api_secret: Secret
    poll_interval_seconds: float
    stale_after_seconds: float
    subaccounts: bool = False
    """Whether the subaccounts of this master account are listed."""
    subaccount_balances: bool = False
    """Whether the funding balances of those are read, too."""


class Balance(Struct, frozen=True, gc=False):
    """What an account has of one coin, in units of the coin unless the name says USD. None: not stated, no series."""

    coin: str
    free: Decimal
    """Negative: a debt."""
    frozen: Decimal
    withdrawing: Decimal | None = None
    equity: Decimal | None = None
    usd_value: Decimal | None = None
    borrowed: Decimal | None = None
    accrued_interest: Decimal | None = None
    unrealised_pnl: Decimal | None = None
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None

    @property
    def total(self) -> Decimal:
        """Everything that the account has of the coin, debts subtracted."""
        return self.free + self.frozen + (self.withdrawing or 0)


class MarginSummary(Struct, frozen=True, gc=False):
    """The totals of a unified account, as the exchange states them. None: not stated, no series."""

    equity_usd: Decimal | None = None
    wallet_balance_usd: Decimal | None = None
    margin_balance_usd: Decimal | None = None
    available_balance_usd: Decimal | None = None
    unrealised_pnl_usd: Decimal | None = None
    initial_margin_usd: Decimal | None = None
    maintenance_margin_usd: Decimal | None = None
    initial_margin_ratio: Decimal | None = None
    maintenance_margin_ratio: Decimal | None = None
    """At 1 the exchange liquidates the account."""


class AccountSnapshot(Struct, frozen=True):
    """What one successful poll says about an account."""

    status: AccountStatus
    balances: tuple[Balance, ...]
    raw_status: str = ""
    unlisted_coins: tuple[str, ...] = ()
    """Configured coins that the exchange did not list; their balance is 0."""
    margin: MarginSummary | None = None
    """None: not a unified account."""


EXPIRES_SOON_SECONDS = 14 * 86_400.0
"""So long before a key expires, it is time to make another."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What the exchange says of a key."""

    read_only: bool
    ip_bound: bool
    expiry_timestamp: float | None
    """None: it does not expire."""


@dataclass(frozen=True, slots=True)
class Subaccount:
    """A member of a master account."""

    uid: str
    name: str
    status: SubaccountStatus
    raw_status: str


class RateLimit(Struct, frozen=True, gc=False):
    """What the exchange last said of its limit on one endpoint for one account (in requests)."""

    limit: int
    remaining: int
