"""The accounts as the status page lays them out: which are shown at length and which in brief, and with what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from ...metrics.state import AccountState
from ...metrics.store import Store
from ...model import AccountType, Balance, ProductEquity, Products, Resource, Subaccount, SubaccountEquity
from .badges import AccountResources, Badge, Level, badges
from .query import Query
from .sparkline import Sparkline, sparkline

MAX_ROWS = 550
"""Maximum number of rows of all accounts at length: one for each coin, and `HEAD_ROWS` for the account itself."""

HEAD_ROWS = 4

MAX_GROUPS = 20
"""Maximum number of products, of coins in each, and of subaccounts that are listed for an account."""

MAX_BRIEF = 500
"""Maximum number of further accounts that are listed in brief. The rest is counted, and found by the filter."""


@dataclass(frozen=True, slots=True)
class UsdTotal:
    """Sum in US dollars, and the coins that are held but have no value in US dollars."""

    usd: Decimal = Decimal(0)
    unvalued: tuple[str, ...] = ()

    def __add__(self, other: UsdTotal) -> UsdTotal:
        return UsdTotal(self.usd + other.usd, tuple(dict.fromkeys((*self.unvalued, *other.unvalued))))


def usd_total(balances: Iterable[Balance], *, prices_known: bool) -> UsdTotal | None:
    """Sums the values of these balances. A coin of which there is nothing needs no value.

    None: nothing has a value, and there are no prices either.
    """
    values, unvalued = [], []
    for balance in balances:
        if balance.usd_value is not None:
            values.append(balance.usd_value)
        elif balance.total:
            unvalued.append(balance.coin)
    return UsdTotal(sum(values, Decimal(0)), tuple(unvalued)) if values or (unvalued and prices_known) else None


@dataclass(frozen=True, slots=True)
class ProductView:
    """A product with the coins in it, and its value in US dollars, if the exchange states one."""

    name: str
    equities: Sequence[ProductEquity]
    usd: Decimal | None


@dataclass(frozen=True, slots=True)
class SubaccountView:
    """A subaccount with the value in US dollars of each wallet, as far as it is known."""

    name: str
    usd: Mapping[str, Decimal]


@dataclass(slots=True)
class AccountView:
    """An account on the page."""

    state: AccountState
    resources: AccountResources
    badges: Sequence[Badge]
    balances: Sequence[Balance] | None
    """Those to be shown, as far as there is room. None if none is current."""
    usd_total: UsdTotal | None = None
    """The value of everything in the wallet, whatever is shown."""
    products: Sequence[ProductView] = ()
    subaccounts: Sequence[SubaccountView] = ()
    """Those whose equity is known, the largest first."""
    room: int = 0
    hidden_coins: int = 0
    lines: Mapping[str, Sparkline | None] = field(default_factory=dict)

    @property
    def level(self) -> Level:
        """The level of the worst badge."""
        return self.badges[0].level

    @property
    def valid_until(self) -> float:
        """The first moment (staleness clock) at which a figure of the account expires."""
        return min(self.state.valid_until, self.resources.valid_until)

    @property
    def holds_something(self) -> bool:
        """Whether the account has, or owes, anything of a coin that is shown."""
        return any(balance.total for balance in self.balances or ())

    @property
    def columns(self) -> tuple[str, ...]:
        """Fields of `Balance` that have a column. Unified accounts borrow, and state no withdrawals."""
        last = "borrowed" if self.state.account_type is AccountType.UNIFIED else "withdrawing"
        return ("coin", "free", "frozen", last)

    @property
    def has_values(self) -> bool:
        """Whether any balance that is shown has a value in US dollars."""
        return any(balance.usd_value is not None for balance in self.balances or ())

    @property
    def subaccount_wallets(self) -> Sequence[str]:
        """The wallets in which any subaccount has something. Each has a column."""
        return sorted({wallet for each in self.subaccounts for wallet, usd in each.usd.items() if usd})

    @property
    def restricted(self) -> Sequence[Subaccount]:
        """The subaccounts whose status is not normal."""
        return [each for each in self.resources.subaccounts.value or () if each.status != "normal"]


def view_account(state: AccountState, store: Store, wall: float) -> AccountView:
    """Returns everything that may be shown of an account now."""
    account = state.account
    resources = AccountResources(
        key=store.cached(Resource.API_KEY, account),
        subaccounts=store.cached(Resource.SUBACCOUNTS, account),
        subaccount_equity=store.cached(Resource.SUBACCOUNT_EQUITY, account),
        products=store.cached(Resource.PRODUCTS, account),
        risk_frozen=store.cached(Resource.RISK_FROZEN, account),
    )
    holdings = state.holdings
    return AccountView(
        state,
        resources,
        badges(state, resources, wall),
        holdings,
        usd_total(holdings or (), prices_known=state.prices.value is not None),
        _products(resources.products.value) if resources.products.value else (),
        _subaccounts(resources.subaccount_equity.value or ()),
    )


def _products(products: Products) -> Sequence[ProductView]:
    """Groups the coins by product. Coins and products of which there is nothing are left out."""
    equities: dict[str, list[ProductEquity]] = {}
    for each in products.equities:
        if each.equity:
            equities.setdefault(each.product, []).append(each)
    for product, value in products.usd.items():
        if value:
            equities.setdefault(product, [])
    return [ProductView(product, coins, products.usd.get(product)) for product, coins in equities.items()]


def _subaccounts(equities: Sequence[SubaccountEquity]) -> Sequence[SubaccountView]:
    """Groups the wallets by subaccount, the largest first."""
    views: dict[str, SubaccountView] = {}
    usd: dict[str, dict[str, Decimal]] = {}
    for each in equities:
        wallets = usd.setdefault(each.uid, {})
        wallets[each.wallet] = each.usd
        views.setdefault(each.uid, SubaccountView(each.subaccount or each.uid, wallets))
    return sorted(views.values(), key=lambda view: sum(view.usd.values()), reverse=True)


def matching(views: Iterable[AccountView], query: Query) -> list[AccountView]:
    """Returns the accounts that the filter finds, worst first.

    An account that is found by its name or state has all its coins and products, another those that the filter finds.
    """
    found = []
    for view in views:
        if not _is_found_itself(view, query):
            view.balances = [balance for balance in view.balances or () if query.matches(balance.coin)]
            view.products = [
                product
                for product in view.products
                if query.matches(product.name) or any(query.matches(each.coin) for each in product.equities)
            ]
            if not view.balances and not view.products:
                continue
        found.append(view)
    return sorted(found, key=lambda view: view.badges[0].severity)


def _is_found_itself(view: AccountView, query: Query) -> bool:
    state = view.state
    if query.matches(state.account.name):
        return True
    reason = state.failure.reason if state.failure else ""
    return any(map(query.begins, (state.account_type, reason, *(badge.text for badge in view.badges))))


def lay_out(found: Sequence[AccountView]) -> tuple[Sequence[AccountView], Sequence[AccountView]]:
    """Divides the accounts into those at length, the last of them perhaps not with all coins, and those in brief."""
    left = MAX_ROWS
    for index, view in enumerate(found):
        left -= HEAD_ROWS + _rows_besides_coins(view)
        if left <= 0:
            return found[:index], found[index:]
        view.room = left
        left -= len(view.balances or ())
    return found, ()


def _rows_besides_coins(view: AccountView) -> int:
    products = sum(min(max(1, len(each.equities)), MAX_GROUPS) for each in view.products[:MAX_GROUPS])
    return products + min(len(view.subaccounts), MAX_GROUPS)


def complete(view: AccountView, query: Query, store: Store) -> None:
    """Sorts the coins, keeps as many as there is room for, and adds their lines."""
    if view.balances is None:
        return
    balances = query.ordered(view.balances)
    view.balances, view.hidden_coins = balances[: view.room], len(balances[view.room :])
    points = store.history.last_hour(view.state.account, store.now())
    view.lines = {each.coin: sparkline(points[each.coin]) for each in view.balances if each.coin in points}
