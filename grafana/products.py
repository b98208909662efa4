"""Assets outside the wallets: Earn, trading bots, copy trading, loans and other products."""

from __future__ import annotations

from .common import DEBT_STEPS, DEBTS_IN_RED, EXACT, to_exporter, usd
from .layout import Row
from .panels import Column, Display, Json, Query, stat, table, timeseries
from .queries import Queries

NO_PRODUCTS = "not stated: no account with products: true has been read"


def rows(queries: Queries) -> list[Row]:
    """The section."""
    return [
        Row(8, [(4, total(queries)), (8, by_product(queries)), (12, by_coin(queries))]),
        Row(7, [(24, product_curves(queries))]),
    ]


def total(queries: Queries) -> Json:
    """All products together."""
    return stat(
        "Value of products",
        "All products of the selected accounts, in USD as the exchange values them. Loans are subtracted. Not in "
        "“Value of the wallets”.",
        [Query(f"sum ({queries.of_product('bybit_product_equity_usd')})")],
        Display(unit="locale", decimals=2, steps=DEBT_STEPS, no_value="not stated"),
        text="value",
    )


def by_product(queries: Queries) -> Json:
    """A row for each product of each account."""
    equity = queries.of_product("bybit_product_equity_usd")
    read = queries.of_account_only("bybit_products_snapshot_timestamp_seconds")
    age = f"time() - (0 * {equity} + on ({queries.by('account')}) group_left () {read})"
    return table(
        "Products",
        "By kind, in USD as the exchange values them. A loan is negative. Kinds that are new keep the exchange's name. "
        "“Age”: how long ago the exchange took its oldest figure.",
        [
            Column("USD", equity, usd("-")),
            Column("Age", age, {"unit": "s", "decimals": 0, "noValue": "-"}),
        ],
        queries.columns(account="Account", product="Product"),
        Display(no_value=NO_PRODUCTS),
        to_exporter(queries),
        sort_by="USD",
    )


def by_coin(queries: Queries) -> Json:
    """A row for each coin of each product."""
    return table(
        "Products by coin",
        "In units of the coin. A loan is negative. Bybit divides some products into categories.",
        [Column("Equity", queries.of_product("bybit_product_equity", "category", "coin"), EXACT | DEBTS_IN_RED)],
        queries.columns(account="Account", product="Product", category="Category", coin="Coin"),
        Display(no_value=NO_PRODUCTS),
        to_exporter(queries),
    )


def product_curves(queries: Queries) -> Json:
    """The value of each kind."""
    equity = queries.of_product("bybit_product_equity_usd")
    return timeseries(
        "Products over time",
        "By kind, of all selected accounts, in USD. A loan is negative.",
        [Query(f"sum by (product) ({equity})", "{{product}}")],
        Display(unit="currencyUSD", decimals=2, no_value=NO_PRODUCTS),
    )
