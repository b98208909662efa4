"""The data that flows from the exchange to the exposition: frozen, plain, no I/O.

Times named ``*_at`` are seconds of the staleness clock (`bybit_exporter.clock`), times named ``*_timestamp`` are Unix
time. Amounts are in units of the coin.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Generic, TypeVar

from msgspec import Struct, field

T = TypeVar("T")

STALE_AFTER_INTERVALS = 3
"""A figure expires after this many intervals without a successful reading, unless the configuration says otherwise."""


class AccountType(StrEnum):
    """The type of the wallet that is polled. The values are the exchange's names, except that of `AUTO`."""

    SPOT = "SPOT"
    UNIFIED = "UNIFIED"
    FUND = "FUND"
    AUTO = "auto"
    """SPOT or UNIFIED: the exchange is asked which of the two the account has."""


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


_OF_ANY_REQUEST = frozenset(
    {
        FailureReason.NETWORK,
        FailureReason.TIMEOUT,
        FailureReason.SERVER,
        FailureReason.RATE_LIMIT,
        FailureReason.IP_RATE_LIMIT,
        FailureReason.CLOCK,
    }
)


class Secret:
    """A text that logs, tracebacks, format strings and pickles do not show. Only `reveal` returns it."""

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
    """Whether the funding balances of the subaccounts are read, too."""
    products: bool = False
    """Whether the assets outside the wallets are read: Earn, trading bots, copy trading, loans and so on."""


class Balance(Struct, frozen=True, gc=False):
    """Balance of one coin, in units of the coin unless the name says USD. None: the exchange does not state it."""

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
        """The sum of free, frozen and withdrawing. Debts are subtracted."""
        return self.free + self.frozen + (self.withdrawing or 0)


class MarginSummary(Struct, frozen=True, gc=False):
    """The totals of a unified account. None: the exchange does not state it."""

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
    """The outcome of one successful poll of an account."""

    status: AccountStatus
    balances: tuple[Balance, ...]
    raw_status: str = ""
    unlisted_coins: tuple[str, ...] = ()
    """Configured coins that the exchange did not list; their balance is 0."""
    margin: MarginSummary | None = None
    """None: not a unified account."""


EXPIRES_SOON_SECONDS = 14 * 86_400.0
"""A key that expires within this time causes a warning."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Properties of an API key."""

    read_only: bool
    ip_bound: bool
    expiry_timestamp: float | None
    """None: it does not expire."""
    can_withdraw: bool | None = False
    """None: the exchange does not state it."""


@dataclass(frozen=True, slots=True)
class Subaccount:
    """A member of a master account."""

    uid: str
    name: str
    status: SubaccountStatus
    raw_status: str


class RateLimit(Struct, frozen=True, gc=False):
    """The limit on one endpoint for one account, in requests, as the exchange last reported it."""

    limit: int
    remaining: int


class Resource(Enum):
    """A kind of data that is read from the exchange. The value is its name in the log."""

    WALLET = "account"
    WITHDRAWALS = "withdrawals"
    PRICES = "prices"
    API_KEY = "key"
    SUBACCOUNTS = "subaccounts"
    SUBACCOUNT_BALANCES = "balances of subaccounts"
    SUBACCOUNT_EQUITY = "equity of subaccounts"
    PRODUCTS = "products"
    RISK_FROZEN = "funds held back"


class Failure(Struct, frozen=True):
    """Why a job failed, in words for people."""

    reason: FailureReason
    message: str
    """What happened."""
    advice: str
    """What to do about it."""
    code: str = ""
    """Distinguishes the cases of one reason, such as ``retCode 10003``."""
    needs_operator: bool = False
    """Whether the failure lasts until a person acts."""
    refuses_key: bool = False
    """Whether the exchange refuses the key for every request."""
    is_unavailable: bool = False
    """Whether the exchange does not offer this here, or not to this key. This is not a fault: no series is shown."""
    cause: BaseException | None = None
    """The exception in the exporter, for ``internal``."""

    @property
    def concerns_any_request(self) -> bool:
        """Whether it may happen to any request, so that it says nothing about what the exchange offers."""
        return self.reason in _OF_ANY_REQUEST or self.refuses_key


class JobResult(Struct, Generic[T], frozen=True):
    """The result of one run of a job: a value or a failure."""

    resource: Resource
    account: Account | None
    """None: the result belongs to no account."""
    outcome: T | Failure
    observed_at: float
    """The outcome was true at this moment or later."""
    ended_at: float
    ended_timestamp: float
    duration_seconds: float
    stale_after_seconds: float = 0.0
    """The value expires this long after ``observed_at``."""
    delay_seconds: float = 0.0
    """The job must not run again before this time has passed; 0: it runs at its next interval."""
    pauses_all: bool = False
    """Whether the exchange blocks this address, so that all requests must pause."""
    rate_limits: Mapping[str, RateLimit] = field(default_factory=dict)
    account_type: AccountType | None = None
    """For a wallet: its type."""
    subaccount: str = ""

    @property
    def failure(self) -> Failure | None:
        """The failure, if there is one."""
        return self.outcome if isinstance(self.outcome, Failure) else None


class MarketPrices(Struct, frozen=True):
    """The prices and the coins of the spot market."""

    usd: Mapping[str, Decimal]
    """The price of each coin in US dollars. Coins without a price are left out."""
    coins: frozenset[str]
    """Every coin of every pair, with or without a price."""


class ProductEquity(Struct, frozen=True, gc=False):
    """Amount of one coin in one product outside the wallets, in units of the coin. Loans are negative."""

    product: str
    """The exchange's name of the product, such as ``Earn`` or ``CryptoLoans``."""
    category: str
    """The exchange's name of the part of the product, such as ``Easy Earn``; ``""`` if the product has no parts."""
    coin: str
    equity: Decimal


class Products(Struct, frozen=True):
    """The assets of an account that lie outside its wallets."""

    equities: tuple[ProductEquity, ...]
    usd: Mapping[str, Decimal]
    """The value of each product in US dollars. Products that the exchange does not value in US dollars are left out."""
    snapshot_timestamp: float | None
    """When the exchange took the oldest of these figures. None: the exchange does not say."""


class SubaccountEquity(Struct, frozen=True, gc=False):
    """Value of one wallet of one subaccount, in US dollars."""

    uid: str
    wallet: str
    """The exchange's name of the wallet, such as ``FUND`` or ``UNIFIED``."""
    usd: Decimal
    subaccount: str = ""
    """The name of the subaccount; ``""`` if it is not known."""
