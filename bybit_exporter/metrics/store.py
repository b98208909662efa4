"""The one state that threads share: what is known of each account and beside them, ready to be scraped.

Lines are rendered once, when there is news, and published by replacing one reference. A scrape writes each family's
header and joins the stored bytes. It takes no lock, and everything it shows of an account is of one poll. What has
expired by then is left out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Generic, Protocol, Self, TypeVar

from msgspec.structs import replace
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from .. import clock
from ..model import Account, AccountSnapshot, AccountType, Balance, RateLimit, Subaccount
from .exposition import Family
from .families import (
    ACCOUNT_FAMILIES,
    BESIDE,
    COIN_PRICE,
    EXPORTER_FAMILIES,
    FIGURE_FAMILIES,
    STATE_FAMILIES,
    Resource,
    render_account,
    render_beside,
)
from .history import History
from .state import AccountState, Cached, ExporterState, PollResult, Withdrawals


class _Expiring(Protocol):
    def as_of(self, now: float) -> Self: ...

    @property
    def valid_until(self) -> float: ...


S = TypeVar("S", bound=_Expiring)
Lines = tuple[bytes, ...]

NO_COINS: frozenset[str] = frozenset()


class _Published(Generic[S]):
    """A state, its rendered lines, and the coins of which those show a balance.

    What remains of them later is rendered when asked for.
    """

    __slots__ = ("_rendered", "state")

    def __init__(self, state: S) -> None:
        self.state = state
        self._rendered = (*self._render(state), state.valid_until)

    def _render(self, state: S) -> tuple[Lines, frozenset[str]]:
        raise NotImplementedError

    def as_of(self, now: float) -> tuple[Lines, frozenset[str]]:
        lines, coins, valid_until = self._rendered
        if now >= valid_until:
            later = self.state.as_of(now)
            lines, coins, _ = self._rendered = (*self._render(later), later.valid_until)
        return lines, coins


class _Polled(_Published[AccountState]):
    """What is known of an account from its polls. Lines of figures are taken over as long as those are the same."""

    __slots__ = ("_figures",)

    def __init__(self, state: AccountState, before: _Polled | None = None) -> None:
        self._figures: tuple[object, Lines, frozenset[str]] = before._figures if before else (None, (), NO_COINS)
        super().__init__(state)

    def _render(self, state: AccountState) -> tuple[Lines, frozenset[str]]:
        holdings = state.holdings
        known, lines, coins = self._figures
        figures = (holdings, state.margin, state.account_type)
        if known != figures:
            lines, coins = render_account(FIGURE_FAMILIES, state), _coins(holdings)
            self._figures = (figures, lines, coins)
        return lines + render_account(STATE_FAMILIES, state), coins


class _Beside(_Published[Cached[Any]]):
    """What is known of something beside the polls of an account; no account stands for the whole exporter."""

    __slots__ = ("_shelf", "_subaccount", "account")

    def __init__(self, shelf: Resource, account: Account | None, subaccount: str, known: Cached[Any]) -> None:
        self._shelf, self.account, self._subaccount = shelf, account, subaccount
        super().__init__(known)

    def _render(self, known: Cached[Any]) -> tuple[Lines, frozenset[str]]:
        coins = _coins(known.value) if self._shelf is Resource.SUBACCOUNT_BALANCES else NO_COINS
        return render_beside(self._shelf, self.account.name if self.account else "", self._subaccount, known), coins


def _coins(balances: Iterable[Balance] | None) -> frozenset[str]:
    return _set_of(tuple([balance.coin for balance in balances or ()]))


_set_of: Callable[[tuple[str, ...]], frozenset[str]] = lru_cache(maxsize=1024)(frozenset)
"""Most accounts hold the same coins: one set for all of them."""


class Store:
    """The latest state of every account and of the exporter, and the last hour of the balances."""

    def __init__(self, exporter: ExporterState, now: Callable[[], float] = clock.now) -> None:
        self.now = now
        self.history = History()
        self._exporter = exporter
        self._prices = True
        self._accounts: dict[str, _Polled] = {}
        self._beside: dict[Resource, dict[tuple[str, str], _Beside]] = {shelf: {} for shelf in BESIDE}
        self._writing = threading.Lock()
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    def replace_accounts(self, accounts: Iterable[Account], *, keep: bool = True, prices: bool = True) -> None:
        """Shows exactly these accounts from now on, and prices or none; series of others end.

        What is known of an account that is configured as it was stays, unless ``keep`` is false.
        """
        with self._writing:
            known = self._accounts if keep else {}
            self._accounts = {account.name: self._kept(known, account) for account in accounts}
            self.history.keep(published.state.account for published in self._accounts.values() if published.state.polls)
            self._prices = prices
            for shelf, beside in self._beside.items():
                self._beside[shelf] = {key: each for key, each in beside.items() if keep and self._shows(each.account)}

    @staticmethod
    def _kept(known: Mapping[str, _Polled], account: Account) -> _Polled:
        published = known.get(account.name)
        if published is not None and published.state.account == account:
            return published
        return _Polled(AccountState(account))

    def _shows(self, account: Account | None) -> bool:
        """Whether this is one of the accounts, or else the prices; a reload may have taken it out."""
        if account is None:
            return self._prices
        published = self._accounts.get(account.name)
        return published is not None and published.state.account is account

    def account_type(self, account: Account) -> AccountType:
        """The type of the wallet to ask for; AUTO if that is to be found out."""
        published = self._accounts.get(account.name)
        return published.state.asked_type if published else account.account_type

    def found(self, account: Account, account_type: AccountType) -> None:
        """Takes in of which type an account is."""
        with self._writing:
            self._update(account, lambda state: state.found(account_type))

    def record(self, account: Account, result: PollResult, next_poll_timestamp: float) -> None:
        """Takes in how a poll ended, and when the account is asked next (Unix time).

        The result of a poll that a reload has overtaken is dropped.
        """
        with self._writing:
            state = self._update(account, lambda state: state.after(result, next_poll_timestamp))
            if state:
                read = isinstance(result.outcome, AccountSnapshot)
                self.history.record(account, result.asked_at, state.holdings if read else None)

    def reschedule(self, account: Account, next_poll_timestamp: float) -> None:
        """Takes in that an account is asked next at another time (Unix time)."""
        with self._writing:
            self._update(account, lambda state: replace(state, next_poll_timestamp=next_poll_timestamp))

    def limited(self, account: Account, rate_limits: Mapping[str, RateLimit]) -> None:
        """Takes in what an answer said of the limits, beside the polls."""
        with self._writing:
            if rate_limits:
                self._update(account, lambda state: state.limited(rate_limits, self.now()))

    def withdrawals(self, account: Account, change: Callable[[Withdrawals], Withdrawals | None]) -> None:
        """Takes in a change of what is known of an account's withdrawals; None where they may not be read."""
        with self._writing:
            self._update(account, lambda state: replace(state, withdrawals=change(state.withdrawals or Cached())))

    def _update(self, account: Account, change: Callable[[AccountState], AccountState]) -> AccountState | None:
        """Publishes the changed state and returns it, unless a reload has taken the account out."""
        if not self._shows(account):
            return None
        old = self._accounts[account.name]
        state = change(old.state)
        self._accounts[account.name] = _Polled(state, old)
        return state

    def put(
        self,
        shelf: Resource,
        account: Account | None,
        change: Callable[[Cached[Any]], Cached[Any]],
        subaccount: str = "",
    ) -> None:
        """Takes in a change of what is known beside the polls."""
        key = (account.name if account else "", subaccount)
        with self._writing:
            if self._shows(account):
                old = self._beside[shelf].get(key)
                self._beside[shelf][key] = _Beside(shelf, account, subaccount, change(old.state if old else Cached()))

    def subaccounts(self, account: Account) -> Sequence[Subaccount]:
        """The subaccounts of an account, as far as they are known and current."""
        known = self._beside[Resource.SUBACCOUNTS].get((account.name, ""))
        return (known.state.as_of(self.now()).value if known else None) or ()

    def keep_subaccounts(self, account: Account, names: Iterable[str]) -> None:
        """Forgets the balances of all subaccounts of an account but these."""
        kept = set(names)
        with self._writing:
            self._beside[Resource.SUBACCOUNT_BALANCES] = {
                key: each
                for key, each in self._beside[Resource.SUBACCOUNT_BALANCES].items()
                if key[0] != account.name or key[1] in kept
            }

    def update_exporter(self, **changes: Any) -> None:
        """Takes in a change of fields of `ExporterState`."""
        with self._writing:
            self._exporter = replace(self._exporter, **changes)

    def clock_offset(self, seconds: float | None) -> None:
        """Takes in the exchange's clock minus ours, which hardly ever moves."""
        if seconds != self._exporter.clock_offset_seconds:
            self.update_exporter(clock_offset_seconds=seconds)

    def accounts(self) -> list[AccountState]:
        """What may be shown of each account now, in the order of the configuration."""
        now = self.now()
        return [published.state.as_of(now) for published in list(self._accounts.values())]

    def beside(self, shelf: Resource, account: Account | None = None) -> Cached[Any]:
        """What may be shown now of what was read beside the polls of an account."""
        known = self._beside[shelf].get((account.name if account else "", ""))
        return known.state.as_of(self.now()) if known else Cached()

    @property
    def ready(self) -> bool:
        """Whether every account has been polled once."""
        return all(published.state.polls for published in list(self._accounts.values()))

    def exposition(self, *, openmetrics: bool = False) -> bytes:
        """Everything, in the Prometheus text format or in OpenMetrics."""
        return b"".join(map(b"".join, self.families(openmetrics=openmetrics)))

    def families(self, *, openmetrics: bool = False) -> list[Sequence[bytes]]:
        """The exposition, family by family, each in pieces to be joined: what belongs together, but no copy of it."""
        now = self.now()
        coins: set[str] = set()
        families: list[Sequence[bytes]] = []

        def add(rows: Sequence[Family[Any]], published: Iterable[_Published[Any]]) -> None:
            shown = [each.as_of(now) for each in published]
            coins.update(*{its_coins for _, its_coins in shown})  # mostly the same
            for family, *lines in zip(rows, *(its_lines for its_lines, _ in shown), strict=True):
                families.append((family.header(openmetrics=openmetrics), *lines))

        add(ACCOUNT_FAMILIES, list(self._accounts.values()))
        for shelf, rows in BESIDE.items():
            add(rows, list(self._beside[shelf].values()))
        families.append((COIN_PRICE.header(openmetrics=openmetrics), self._price_lines(coins)))
        for family in EXPORTER_FAMILIES:
            families.append((family.header(openmetrics=openmetrics), family.lines("", self._exporter)))
        process = generate_openmetrics if openmetrics else generate_latest
        families.append([process(self._process)])
        return families

    def _price_lines(self, coins: Iterable[str]) -> bytes:
        prices: Mapping[str, Decimal] = self.beside(Resource.PRICES).value or {}
        return COIN_PRICE.lines("", {coin: float(prices[coin]) for coin in sorted(coins) if coin in prices})
