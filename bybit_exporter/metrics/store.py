"""The state that all threads share: each account and each resource, with the lines of the exposition.

Lines are rendered once, when a result changes them, and published by replacing one reference. A scrape writes each
family's header and joins the stored bytes, without a lock. All figures of an account in a scrape are from the same
poll, and all values in US dollars are at the same prices. Expired figures are left out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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
from .rendered import AccountRenderer, Rendered, RenderedResource
from .request_durations import RequestDurations
from .resource_families import COIN_PRICE, RESOURCE_FAMILIES
from .state import UNAVAILABLE, AccountState, Cached, ExporterState

RenderedAccount = Rendered[AccountState]
ResourceKey = tuple[str, str]
"""The account's name and the subaccount's; empty where there is none."""


@dataclass(slots=True)
class _Published:
    """What a scrape reads. A poll replaces one entry in place; prices and reloads replace the whole."""

    accounts: dict[str, RenderedAccount]
    resources: dict[Resource, dict[ResourceKey, RenderedResource]]
    prices: Cached[MarketPrices]

    def has(self, account: Account | None) -> bool:
        """Whether this account (None: the prices) is configured. A reload may have removed it."""
        if account is None:
            return self.prices.is_available
        rendered = self.accounts.get(account.name)
        return rendered is not None and rendered.state.account is account


class Store:
    """The latest state of every account and of the exporter, and the last hour of the balances."""

    def __init__(self, exporter: ExporterState, now: Callable[[], float] = clock.now) -> None:
        self.now = now
        """The staleness clock."""
        self.history = History()
        self.generation = 0
        """Counts how often the accounts were replaced."""
        self.exchange = 0
        """Counts how often they were replaced by those of another exchange."""
        self._exporter = exporter
        self._published = _Published({}, {each: {} for each in RESOURCE_FAMILIES}, Cached())
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
            self.exchange += not keep
            old = self._published
            kept_prices = old.prices if keep and old.prices.is_available else Cached()
            shown_prices = kept_prices if prices else UNAVAILABLE
            known = old.accounts if keep else {}
            rendered = {each.name: _rendered_account(known.get(each.name), each, shown_prices) for each in accounts}
            new = _Published(rendered, {each: {} for each in RESOURCE_FAMILIES}, shown_prices)
            for resource, entries in old.resources.items() if keep else ():
                new.resources[resource] = {key: each for key, each in entries.items() if new.has(each.account)}
            self._published = new
            self.history.retain(each.state.account for each in rendered.values() if each.state.polls)

    def apply(self, result: JobResult[Any], next_run_timestamp: float, exchange: int | None = None) -> bool:
        """Applies the result of a job. ``next_run_timestamp`` is the Unix time of the job's next run.

        Returns whether it was applied: not if a reload has removed its account, or has replaced the exchange since its
        number was ``exchange`` (None: it is the current one).
        """
        exchange = self.exchange if exchange is None else exchange
        if result.resource is Resource.PRICES:
            return self._apply_prices(result, exchange)
        with self._writing:
            if exchange != self.exchange or not self._published.has(result.account):
                return False
            if result.account is not None:
                self._apply_to_account(result.account, result, next_run_timestamp)
            if result.resource in RESOURCE_FAMILIES:
                self._apply_to_resource(result)
            if result.resource is Resource.SUBACCOUNTS and result.failure is None:
                self._retain_subaccounts(result)
            return True

    def _apply_prices(self, result: JobResult[MarketPrices], exchange: int) -> bool:
        """Publishes the prices together with the balances of all accounts at these prices.

        Valuing many accounts takes long, so the lock is taken afterwards. Accounts that have changed by then are valued
        again.
        """
        old = self._published
        prices = old.prices.with_result(result)
        before = dict(old.accounts)
        valued = {name: _at_prices(rendered, prices) for name, rendered in before.items()}
        with self._writing:
            current = self._published
            if exchange != self.exchange or not current.has(None):
                return False
            shown = {
                name: valued[name] if before.get(name) is rendered else _at_prices(rendered, prices)
                for name, rendered in current.accounts.items()
            }
            own = RenderedResource(Resource.PRICES, None, "", prices)
            self._published = _Published(shown, {**current.resources, Resource.PRICES: {("", ""): own}}, prices)
            return True

    def _apply_to_account(self, account: Account, result: JobResult[Any], next_run_timestamp: float) -> None:
        accounts = self._published.accounts
        old = accounts[account.name]
        state = old.state.with_result(result, next_run_timestamp)
        if state is not old.state:
            accounts[account.name] = old.with_state(state)
        if result.resource is Resource.WALLET:
            holdings = None if result.failure else state.as_of(result.observed_at).holdings
            self.history.record(account, result.observed_at, holdings)

    def _apply_to_resource(self, result: JobResult[Any]) -> None:
        resources = self._published.resources[result.resource]
        key = (result.account.name if result.account else "", result.subaccount)
        old = resources.get(key)
        cached = (old.state if old else Cached()).with_result(result)
        resources[key] = RenderedResource(result.resource, result.account, result.subaccount, cached)

    def _retain_subaccounts(self, result: JobResult[Any]) -> None:
        """Removes the balances of the account's subaccounts that are no longer listed."""
        assert result.account is not None
        assert not isinstance(result.outcome, Failure)
        account, listed = result.account.name, {each.name for each in result.outcome}
        resources = self._published.resources
        resources[Resource.SUBACCOUNT_BALANCES] = {
            key: each
            for key, each in resources[Resource.SUBACCOUNT_BALANCES].items()
            if key[0] != account or key[1] in listed
        }

    def set_next_poll(self, account: Account, timestamp: float) -> None:
        """Changes the Unix time of an account's next poll."""
        with self._writing:
            if self._published.has(account):
                accounts = self._published.accounts
                old = accounts[account.name]
                accounts[account.name] = old.with_state(replace(old.state, next_poll_timestamp=timestamp))

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
        return [rendered.state.as_of(now) for rendered in list(self._published.accounts.values())]

    def cached(self, resource: Resource, account: Account | None = None) -> Cached[Any]:
        """A resource of an account (None: the prices), without an expired value."""
        rendered = self._published.resources[resource].get((account.name if account else "", ""))
        return rendered.state.as_of(self.now()) if rendered else Cached()

    @property
    def ready(self) -> bool:
        """Whether every account has been polled once."""
        return all(rendered.state.polls for rendered in list(self._published.accounts.values()))

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

        published = self._published  # read once: prices and reloads replace it
        add(ACCOUNT_FAMILIES, list(published.accounts.values()))
        for resource, rows in RESOURCE_FAMILIES.items():
            add(rows, list(published.resources[resource].values()))
        families.append((COIN_PRICE.header(openmetrics=openmetrics), _price_lines(published.prices, coins, now)))
        exporter = self._exporter.as_of(now)
        for family in EXPORTER_FAMILIES:
            families.append((family.header(openmetrics=openmetrics), family.lines("", exporter)))
        families.append([self.request_durations.lines(openmetrics=openmetrics)])
        families.append([(generate_openmetrics if openmetrics else generate_latest)(self._registry)])
        return families


def _rendered_account(known: RenderedAccount | None, account: Account, prices: Cached[MarketPrices]) -> RenderedAccount:
    """The account as it is known, if its configuration is unchanged, or else a new one."""
    if known is None or known.state.account != account:
        withdrawals = Cached() if account.account_type is AccountType.FUND else UNAVAILABLE
        return Rendered(AccountState(account, prices=prices, withdrawals=withdrawals), AccountRenderer().render)
    return _at_prices(known, prices)


def _at_prices(rendered: RenderedAccount, prices: Cached[MarketPrices]) -> RenderedAccount:
    """The account with its balances valued at these prices."""
    state = rendered.state
    if state.prices is prices or state.account_type is AccountType.UNIFIED:  # the exchange states its values
        return rendered
    return rendered.with_state(replace(state, prices=prices))


def _price_lines(cached: Cached[MarketPrices], coins: Iterable[str], now: float) -> bytes:
    prices = cached.as_of(now).value
    if prices is None:
        return b""
    return COIN_PRICE.lines("", {coin: float(prices.usd[coin]) for coin in sorted(coins) if coin in prices.usd})
