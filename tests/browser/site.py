"""The web side over a store whose accounts are in whatever state a test or the README's picture wants."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from decimal import Decimal
from typing import Any, Self

import uvicorn

from bybit_exporter.metrics.state import ExporterState
from bybit_exporter.metrics.store import Store
from bybit_exporter.model import (
    Account,
    AccountSnapshot,
    AccountStatus,
    AccountType,
    ApiKey,
    Balance,
    FailureReason,
    MarginSummary,
    ProductEquity,
    Products,
    Resource,
    Subaccount,
    SubaccountEquity,
    SubaccountStatus,
)
from bybit_exporter.web.app import WebOptions, create_app
from bybit_exporter.web.server.listen import bind
from tests.builders import make_account, make_failure, make_result
from tests.support import FakeClock

STALE_AFTER_SECONDS = 90.0

Amounts = Mapping[str, str]
"""By coin: free, frozen and withdrawing, separated by blanks; those left out are 0, and "-" is no withdrawing."""


def an_account(
    name: str, stale_after: float = STALE_AFTER_SECONDS, account_type: AccountType = AccountType.SPOT
) -> Account:
    return make_account(name, account_type, poll_interval_seconds=stale_after / 3, stale_after_seconds=stale_after)


def snapshot(amounts: Amounts, status: AccountStatus = AccountStatus.NORMAL) -> AccountSnapshot:
    return AccountSnapshot(status, tuple(_balance(coin, text) for coin, text in amounts.items()))


def _balance(coin: str, text: str) -> Balance:
    free, frozen, withdrawing = (*text.split(), "0", "0")[:3]
    return Balance(coin, Decimal(free), Decimal(frozen), None if withdrawing == "-" else Decimal(withdrawing))


class Site:
    """A store on a clock that stands still, and once entered its web side on a free port, the same each time."""

    def __init__(
        self, *names: str, demo: bool = False, earlier: float = 0.0, stale_after: float = STALE_AFTER_SECONDS
    ) -> None:
        self.clock = FakeClock(time.time() - earlier)  # near Unix time, which the page shows
        self.store = Store(ExporterState(True, self.clock.now), self.clock)
        self.options = WebOptions(demo=demo)
        self._port = 0
        self.accounts = {name: an_account(name, stale_after) for name in names}
        self.store.replace_accounts(self.accounts.values())

    def add(self, name: str, account_type: AccountType) -> None:
        """Adds an account of another type."""
        self.accounts[name] = an_account(name, account_type=account_type)
        self.store.replace_accounts(self.accounts.values())

    def read(self, name: str, amounts: Amounts, status: AccountStatus = AccountStatus.NORMAL) -> None:
        """A poll succeeds now."""
        self.apply(name, snapshot(amounts, status))

    def read_unified(self, name: str, *balances: Balance, **margin: str) -> None:
        """A poll of a unified account succeeds now. Figures of `MarginSummary` that are left out are not stated."""
        summary = MarginSummary(**{figure: Decimal(text) for figure, text in margin.items()})
        self.apply(name, AccountSnapshot(AccountStatus.NORMAL, balances, margin=summary))

    def fail(self, name: str, reason: FailureReason, message: str) -> None:
        """A poll fails now."""
        self.apply(name, make_failure(reason, message))

    def apply(self, name: str | None, outcome: Any, resource: Resource = Resource.WALLET) -> None:
        """A job of an account, or of the whole exporter, ends now; the clocks show the same."""
        account = self.accounts[name] if name else None
        now = self.clock.now
        result = make_result(account, outcome, now, resource, ended_timestamp=now, stale_after_seconds=180.0)
        self.store.apply(result, now + (account.poll_interval_seconds if account else 60.0))

    def __enter__(self) -> Self:
        listener = bind("127.0.0.1", self._port)
        self._port = listener.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self._port}/"
        app = create_app(self.store, self.options, Future)
        self._server = uvicorn.Server(
            uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """As if the exporter had ended."""
        self._server.should_exit = True
        self._thread.join(10)


def every_state() -> Site:
    """An account in every state there is, with names and coins that try to be more than text."""
    site = Site(
        "main", "<script>alert('account')</script>", "flaky", "stale", "banned", "refused", "odd", "new", earlier=113
    )
    site.read("stale", {"BTC": "5.55555555"})
    site.clock.now += STALE_AFTER_SECONDS
    site.read("flaky", {"SOL": "12.5 0.25"})
    site.clock.now += 20
    site.read("main", {"ETH": "11.534850000000000001 0.5", "BTC": "0.00000001", "USDT": "1250000.00 0 35643.12"})
    site.read("<script>alert('account')</script>", {"<script>alert('coin')</script>": "1", "\u202eLTR\u200b": "2"})
    site.read("banned", {"BTC": "1.5"}, AccountStatus.BANNED)
    site.read("odd", {}, AccountStatus.UNKNOWN)
    site.fail("flaky", FailureReason.TIMEOUT, "no answer within 10s; the exchange or the network is slow")
    site.fail("stale", FailureReason.NETWORK, "connection refused; check the network, DNS, proxy and firewall")
    site.fail("refused", FailureReason.BANNED, 'retCode 10027 "banned"; contact its support')
    _read_unified_accounts(site)
    site.clock.now += 3
    return site


def _read_unified_accounts(site: Site) -> None:
    """Adds accounts with margin, debts, products and subaccounts."""
    for name in ("cross", "near", "high", "isolated"):
        site.add(name, AccountType.UNIFIED)
    debt = Balance("ETH", Decimal("-2.5"), Decimal(0), usd_value=Decimal("-7501.25"), borrowed=Decimal("2.5"))
    usdt = Balance("USDT", Decimal(50_000), Decimal(1_000), usd_value=Decimal("50974.5"), borrowed=Decimal(0))
    stated = {"equity_usd": "43473.25", "available_balance_usd": "40000"}
    site.read_unified("cross", usdt, debt, **stated, maintenance_margin_ratio="0.125")
    site.read_unified("near", usdt, **stated, maintenance_margin_ratio="0.853")
    site.read_unified("high", usdt, **stated, maintenance_margin_ratio="0.62")
    site.read_unified("isolated", usdt, equity_usd="50974.5")
    equities = (
        ProductEquity("Earn", "Easy Earn", "USDT", Decimal("1E+5")),
        ProductEquity("Earn", "", "BTC", Decimal("0.5")),
        ProductEquity("CryptoLoans", "", "USDT", Decimal("-40000.5")),
    )
    products = Products(equities, {"CryptoLoans": Decimal("-39996"), "Launchpool": Decimal("12.5")}, None)
    site.apply("cross", products, Resource.PRODUCTS)
    site.apply("cross", Decimal(2_500), Resource.RISK_FROZEN)
    site.apply("cross", ApiKey(False, False, None, can_withdraw=True), Resource.API_KEY)
    members = [Subaccount(str(n), f"desk{n}", SubaccountStatus.NORMAL, "1") for n in range(1, 9)]
    site.apply("cross", members, Resource.SUBACCOUNTS)
    wallets = [SubaccountEquity(each.uid, "FUND", Decimal(each.uid) * 1000, each.name) for each in members]
    wallets.append(SubaccountEquity("1", "UNIFIED", Decimal("8123.45"), "desk1"))
    site.apply("cross", wallets, Resource.SUBACCOUNT_EQUITY)
