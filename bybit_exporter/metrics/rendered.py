"""States with their rendered lines. The store publishes them, and a scrape joins the lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

from msgspec.structs import replace

from ..model import Account, Balance, Resource
from .account_families import FIGURE_FAMILIES, STATE_FAMILIES, render_account
from .resource_families import render_resource
from .state import UNAVAILABLE, AccountState, Cached

S = TypeVar("S", AccountState, Cached[Any])
Lines = tuple[bytes, ...]
"""The sample lines of each family, in the order of the families."""

NO_COINS: frozenset[str] = frozenset()


class Rendered(Generic[S]):
    """A state, its rendered lines, and the coins that have a balance in them.

    When a part of the state has expired, the next scrape renders the rest.
    """

    __slots__ = ("_render", "_rendered", "state")

    def __init__(self, state: S, render: Callable[[S], tuple[Lines, frozenset[str]]]) -> None:
        self.state: S = state
        self._render: Callable[[S], tuple[Lines, frozenset[str]]] = render
        self._rendered = (*render(state), state.valid_until)

    def with_state(self, state: S) -> Rendered[S]:
        """Another state of the same account."""
        return Rendered(state, self._render)

    def as_of(self, now: float) -> tuple[Lines, frozenset[str]]:
        """The lines that may be shown at this moment, and the coins in them."""
        lines, coins, valid_until = self._rendered
        if now >= valid_until:
            later: S = self.state.as_of(now)
            lines, coins, _ = self._rendered = (*self._render(later), later.valid_until)
        return lines, coins


class AccountRenderer:
    """Renders the states of one account. While its figures are the same, their lines are reused."""

    __slots__ = ("_latest",)

    def __init__(self) -> None:
        self._latest: tuple[object, Lines, frozenset[str]] = (None, (), NO_COINS)

    def render(self, state: AccountState) -> tuple[Lines, frozenset[str]]:
        holdings = state.holdings
        figures = (holdings, state.margin, state.account_type)
        latest, lines, coins = self._latest
        if latest != figures:
            # With its holdings as the balances, a state does not compute them for each family.
            held = replace(state, balances=holdings, withdrawals=UNAVAILABLE, prices=UNAVAILABLE)
            lines, coins = render_account(FIGURE_FAMILIES, held), _coins(holdings)
            self._latest = (figures, lines, coins)
        return lines + render_account(STATE_FAMILIES, state), coins


class RenderedResource(Rendered[Cached[Any]]):
    """A resource of an account. Prices have no account."""

    __slots__ = ("account",)

    def __init__(self, resource: Resource, account: Account | None, subaccount: str, cached: Cached[Any]) -> None:
        self.account = account
        super().__init__(cached, partial(_render_resource, resource, account.name if account else "", subaccount))


def _render_resource(
    resource: Resource, account: str, subaccount: str, cached: Cached[Any]
) -> tuple[Lines, frozenset[str]]:
    coins = _coins(cached.value) if resource is Resource.SUBACCOUNT_BALANCES else NO_COINS
    return render_resource(resource, account, subaccount, cached), coins


def _coins(balances: Iterable[Balance] | None) -> frozenset[str]:
    return _set_of(tuple([balance.coin for balance in balances or ()]))


_set_of: Callable[[tuple[str, ...]], frozenset[str]] = lru_cache(maxsize=1024)(frozenset)
"""One set for all accounts that hold the same coins."""
