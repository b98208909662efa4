"""The state that all threads share: each account and each resource, with the lines of the exposition.

Lines are rendered once, when a result changes them, and published by replacing one reference. A scrape writes each
family's header and joins the stored bytes, without a lock. All figures of an account in a scrape are from the same
poll. Expired figures are left out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from .. import clock
from ..model import Account, AccountType, Failure, JobResult, MarketPrices, Resource
from .account_families import ACCOUNT_FAMILIES
from .exporter_families import EXPORTER_FAMILIES
from .exposition import Family
from .history import History
from .rendered import Rendered, RenderedAccount, RenderedResource
from .request_durations import RequestDurations
from .resource_families import COIN_PRICE, RESOURCE_FAMILIES
from .state import AccountState, Cached, ExporterState

ResourceKey = tuple[str, str]
"""The account's name and the subaccount's; empty where there is none."""


class Store:
    """The latest state of every account and of the exporter, and the last hour of the balances."""

    def __init__(self, exporter: ExporterState, now: Callable[[], float] = clock.now) -> None:
        self.now = now
        """The staleness clock."""
        self.history = History()
        self.generation = 0
        """Counts how often the accounts were replaced."""
        self._exporter = exporter
        self._prices: Cached[MarketPrices] | None = Cached()
        """None: prices are not read."""
        self._accounts: dict[str, RenderedAccount] = {}
        self._resources: dict[Resource, dict[ResourceKey, RenderedResource]] = {each: {} for each in RESOURCE_FAMILIES}
        self._writing = threading.Lock()
        self._registry = CollectorRegistry()
        """The metrics that the client library collects."""
        ProcessCollector(registry=self._registry)
        self.request_durations = RequestDurations()

    def replace_accounts(self, accounts: Iterable[Account], *, keep: bool = True, prices: bool = True) -> None:
        """Replaces all accounts. The series of the others end. ``prices``: whether prices are read.

        An account whose configuration is unchanged keeps its state, unless ``keep`` is false.
        """
        with self._writing:
            self.generation += 1
            known = self._accounts if keep else {}
            kept_prices = self._prices if keep and self._prices is not None else Cached()
            self._prices = kept_prices if prices else None
            self._accounts = {account.name: self._rendered_account(known, account) for account in accounts}
            self.history.retain(rendered.state.account for rendered in self._accounts.values() if rendered.state.polls)
            for resource, rendered in self._resources.items():
                self._resources[resource] = {
                    key: each for key, each in rendered.items() if keep and self._is_current(each.account)
                }

    def _rendered_account(self, known: Mapping[str, RenderedAccount], account: Account) -> RenderedAccount:
        rendered = known.get(account.name)
        if rendered is None or rendered.state.account != account:
            reads_withdrawals = account.account_type is AccountType.FUND
            return RenderedAccount(
                AccountState(account, prices=self._prices, withdrawals=Cached() if reads_withdrawals else None)
            )
        if rendered.state.prices is self._prices:
            return rendered
        return RenderedAccount(replace(rendered.state, prices=self._prices), rendered)

    def _is_current(self, account: Account | None) -> bool:
        """Whether this account (None: the prices) is still configured. A reload may have removed it."""
        if account is None:
            return self._prices is not None
        rendered = self._accounts.get(account.name)
        return rendered is not None and rendered.state.account is account

    def apply(self, result: JobResult[Any], next_run_timestamp: float) -> None:
        """Applies the result of a job. ``next_run_timestamp`` is the Unix time of the job's next run.

        The result is dropped if a reload has removed its account.
        """
        with self._writing:
            if not self._is_current(result.account):
                return
            if result.account is not None:
                self._apply_to_account(result.account, result, next_run_timestamp)
            if result.resource in self._resources:
                self._apply_to_resource(result)
            if result.resource is Resource.SUBACCOUNTS and result.failure is None:
                self._retain_subaccounts(result)
            if result.resource is Resource.PRICES:
                self._set_prices(self._resources[Resource.PRICES]["", ""].state)

    def _apply_to_account(self, account: Account, result: JobResult[Any], next_run_timestamp: float) -> None:
        old = self._accounts[account.name]
        state = old.state.with_result(result, next_run_timestamp)
        if state is not old.state:
            self._accounts[account.name] = RenderedAccount(state, old)
        if result.resource is Resource.WALLET:
            holdings = None if result.failure else state.as_of(result.observed_at).holdings
            self.history.record(account, result.observed_at, holdings)

    def _apply_to_resource(self, result: JobResult[Any]) -> None:
        resources = self._resources[result.resource]
        key = (result.account.name if result.account else "", result.subaccount)
        old = resources.get(key)
        cached = (old.state if old else Cached()).with_result(result)
        if cached is None:
            resources.pop(key, None)
        else:
            resources[key] = RenderedResource(result.resource, result.account, result.subaccount, cached)

    def _retain_subaccounts(self, result: JobResult[Any]) -> None:
        """Removes the balances of the account's subaccounts that are no longer listed."""
        assert result.account is not None
        assert not isinstance(result.outcome, Failure)
        account, listed = result.account.name, {each.name for each in result.outcome}
        self._resources[Resource.SUBACCOUNT_BALANCES] = {
            key: each
            for key, each in self._resources[Resource.SUBACCOUNT_BALANCES].items()
            if key[0] != account or key[1] in listed
        }

    def _set_prices(self, prices: Cached[MarketPrices]) -> None:
        """Sets the prices, and values the balances of every account at them."""
        self._prices = prices
        for name, old in self._accounts.items():
            if old.state.account_type is AccountType.UNIFIED:  # the exchange states its values
                continue
            self._accounts[name] = RenderedAccount(replace(old.state, prices=prices), old)

    def set_next_poll(self, account: Account, timestamp: float) -> None:
        """Changes the Unix time of an account's next poll."""
        with self._writing:
            if self._is_current(account):
                old = self._accounts[account.name]
                self._accounts[account.name] = RenderedAccount(replace(old.state, next_poll_timestamp=timestamp), old)

    def update_exporter(self, **changes: Any) -> None:
        """Changes fields of `ExporterState`."""
        with self._writing:
            self._exporter = replace(self._exporter, **changes)

    def set_clock_offset(self, seconds: float | None, expires_at: float) -> None:
        """Sets the exchange's clock minus ours, and when it expires (staleness clock)."""
        self.update_exporter(clock_offset_seconds=seconds, clock_offset_expires_at=expires_at)

    def accounts(self, now: float | None = None) -> list[AccountState]:
        """The states without expired parts, in the order of the configuration. ``now``: see `families`."""
        now = self.now() if now is None else now
        return [rendered.state.as_of(now) for rendered in list(self._accounts.values())]

    def cached(self, resource: Resource, account: Account | None = None) -> Cached[Any]:
        """A resource of an account (None: the prices), without an expired value."""
        rendered = self._resources[resource].get((account.name if account else "", ""))
        return rendered.state.as_of(self.now()) if rendered else Cached()

    @property
    def prices(self) -> Cached[MarketPrices]:
        """The prices, unless they have expired."""
        return self.cached(Resource.PRICES)

    @property
    def ready(self) -> bool:
        """Whether every account has been polled once."""
        return all(rendered.state.polls for rendered in list(self._accounts.values()))

    def exposition(self, *, openmetrics: bool = False, now: float | None = None) -> bytes:
        """The whole exposition, in the Prometheus text format or in OpenMetrics. ``now``: see `families`."""
        return b"".join(map(b"".join, self.families(openmetrics=openmetrics, now=now)))

    def families(self, *, openmetrics: bool = False, now: float | None = None) -> list[Sequence[bytes]]:
        """The exposition, family by family, each in pieces to be joined.

        ``now`` is a moment of the staleness clock, which decides what has expired; None: the current moment.
        """
        now = self.now() if now is None else now
        coins: set[str] = set()
        families: list[Sequence[bytes]] = []

        def add(rows: Sequence[Family[Any]], rendered: Iterable[Rendered[Any]]) -> None:
            shown = [each.as_of(now) for each in rendered]
            coins.update(*{its_coins for _, its_coins in shown})  # most accounts share one set
            for family, *lines in zip(rows, *(its_lines for its_lines, _ in shown), strict=True):
                families.append((family.header(openmetrics=openmetrics), *lines))

        add(ACCOUNT_FAMILIES, list(self._accounts.values()))
        for resource, rows in RESOURCE_FAMILIES.items():
            add(rows, list(self._resources[resource].values()))
        families.append((COIN_PRICE.header(openmetrics=openmetrics), self._price_lines(coins, now)))
        exporter = self._exporter.as_of(now)
        for family in EXPORTER_FAMILIES:
            families.append((family.header(openmetrics=openmetrics), family.lines("", exporter)))
        families.append([self.request_durations.lines(openmetrics=openmetrics)])
        families.append([(generate_openmetrics if openmetrics else generate_latest)(self._registry)])
        return families

    def _price_lines(self, coins: Iterable[str], now: float) -> bytes:
        prices = self._prices.as_of(now).value if self._prices else None
        if prices is None:
            return b""
        return COIN_PRICE.lines("", {coin: float(prices.usd[coin]) for coin in sorted(coins) if coin in prices.usd})
