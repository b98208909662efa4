"""States with their rendered lines. The store publishes them, and a scrape joins the lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Generic, Protocol, Self, TypeVar

from ..model import Account, Balance, Resource
from .account_families import FIGURE_FAMILIES, STATE_FAMILIES, render_account
from .resource_families import render_resource
from .state import AccountState, Cached


class _Expiring(Protocol):
    def as_of(self, now: float) -> Self: ...

    @property
    def valid_until(self) -> float: ...


S = TypeVar("S", bound=_Expiring)
Lines = tuple[bytes, ...]
"""The sample lines of each family, in the order of the families."""

NO_COINS: frozenset[str] = frozenset()


class Rendered(Generic[S]):
    """A state, its rendered lines, and the coins that have a balance in them.

    When a part of the state has expired, the next scrape renders the rest.
    """

    __slots__ = ("_rendered", "state")

    def __init__(self, state: S) -> None:
        self.state = state
        self._rendered = (*self._render(state), state.valid_until)

    def _render(self, state: S) -> tuple[Lines, frozenset[str]]:
        raise NotImplementedError

    def as_of(self, now: float) -> tuple[Lines, frozenset[str]]:
        """The lines that may be shown at this moment, and the coins in them."""
        lines, coins, valid_until = self._rendered
        if now >= valid_until:
            later = self.state.as_of(now)
            lines, coins, _ = self._rendered = (*self._render(later), later.valid_until)
        return lines, coins


class RenderedAccount(Rendered[AccountState]):
    """An account. While its figures are the same, their lines are reused."""

    __slots__ = ("_figures",)

    def __init__(self, state: AccountState, previous: RenderedAccount | None = None) -> None:
        self._figures: tuple[object, Lines, frozenset[str]] = previous._figures if previous else (None, (), NO_COINS)
        super().__init__(state)

    def _render(self, state: AccountState) -> tuple[Lines, frozenset[str]]:
        figures = (state.holdings, state.margin, state.account_type)
        rendered, lines, coins = self._figures
        if rendered != figures:
            lines, coins = render_account(FIGURE_FAMILIES, state), _coins(figures[0])
            self._figures = (figures, lines, coins)
        return lines + render_account(STATE_FAMILIES, state), coins


class RenderedResource(Rendered[Cached[Any]]):
    """A resource of an account. Prices have no account."""

    __slots__ = ("_resource", "_subaccount", "account")

    def __init__(self, resource: Resource, account: Account | None, subaccount: str, cached: Cached[Any]) -> None:
        self._resource, self.account, self._subaccount = resource, account, subaccount
        super().__init__(cached)

    def _render(self, cached: Cached[Any]) -> tuple[Lines, frozenset[str]]:
        coins = _coins(cached.value) if self._resource is Resource.SUBACCOUNT_BALANCES else NO_COINS
        name = self.account.name if self.account else ""
        return render_resource(self._resource, name, self._subaccount, cached), coins


def _coins(balances: Iterable[Balance] | None) -> frozenset[str]:
    return _set_of(tuple([balance.coin for balance in balances or ()]))


_set_of: Callable[[tuple[str, ...]], frozenset[str]] = lru_cache(maxsize=1024)(frozenset)
"""One set for all accounts that hold the same coins."""
