"""The value of the wallets in USD: in total, by account and by coin. Debts are subtracted."""

from __future__ import annotations

from .common import DEBT_STEPS, DEBTS_IN_RED, NOT_STATED
from .layout import Row
from .panels import GREEN, GREY, RED, Column, Display, Json, Query, stat, table, timeseries
from .queries import Queries

NO_VALUE = "No balance with a price."
LACKS = "Without what “Accounts without balances” and “Coins without a price” list."


def rows(queries: Queries) -> list[Row]:
    """The section."""
    return [
        Row(4, [(6, total(queries)), (6, with_products(queries)), (6, available(queries)), (6, held_back(queries))]),
        Row(8, [(6, without_price(queries)), (9, by_account(queries)), (9, by_coin(queries))]),
        Row(8, [(12, account_curves(queries)), (12, coin_curves(queries))]),
    ]


def total(queries: Queries) -> Json:
    """All wallets together."""
    return stat(
        "Value of the wallets",
        "All selected accounts and coins in USD, debts subtracted: of unified accounts the exchange's own value, which "
        f"has open positions in it; of spot and funding accounts the amounts at current prices. {LACKS}",
        [Query(f"sum ({queries.usd_value()})")],
        Display(unit="locale", decimals=2, steps=DEBT_STEPS, no_value=NO_VALUE),
        text="value",
    )


def with_products(queries: Queries) -> Json:
    """Wallets and products together; without a value where products are not read."""
    products = queries.of_product("bybit_product_equity_usd")
    return stat(
        "Wallets and products",
        "The value of the wallets plus all products of the selected accounts (Earn, bots, copy trading; loans are "
        "negative). Products are counted whole, whichever coins are selected. Not stated if no account has "
        "products: true.",
        [Query(f"sum ({queries.usd_value()}) + sum ({products})")],
        Display(unit="locale", decimals=2, steps=DEBT_STEPS, no_value=NOT_STATED),
        text="value",
    )


def available(queries: Queries) -> Json:
    """What unified accounts can use."""
    return stat(
        "Available as margin",
        "Available balance of the unified accounts, in USD, whichever coins are selected. The exchange does not "
        "state it for accounts in isolated margin; those are not in this sum.",
        [Query(f"sum ({queries.of_account('bybit_account_available_balance_usd')})")],
        Display(unit="locale", decimals=2, steps=DEBT_STEPS, no_value=NOT_STATED),
        text="value",
    )


def held_back(queries: Queries) -> Json:
    """What the exchange does not let out."""
    frozen = queries.of_account_only("bybit_account_risk_frozen_usd")
    return stat(
        "Funds held back",
        "What the exchange keeps from being withdrawn because of risk, in USD, for each funding account. More than 0 "
        "is often the first sign of a freeze.",
        [Query(frozen, queries.legend("{{account}}"))],
        Display(unit="locale", decimals=2, steps=[(GREY, None), (GREEN, 0), (RED, 0.01)], no_value=NOT_STATED),
        text="value_and_name",
    )


def without_price(queries: Queries) -> Json:
    """The amounts that the total lacks."""
    missing = f"({queries.amount()} != 0) unless on ({queries.by_coin}) {queries.usd_value()}"
    return table(
        "Coins without a price",
        "Coins that an account has or owes, but that have no value in USD now and so are in no total: no spot pair "
        "with USDT, or prices are off or cannot be read.",
        [Column("Amount", f"sum by (coin) ({missing})", {"decimals": 8} | DEBTS_IN_RED)],
        {"coin": "Coin"},
        Display(unit="locale", no_value="None: every coin has a price."),
    )


def by_account(queries: Queries) -> Json:
    """The value of each account."""
    return table(
        "Value by account",
        f"In USD, debts subtracted. {LACKS}",
        [Column("USD", f"sum by ({queries.by_account}) ({queries.usd_value()})", DEBTS_IN_RED)],
        queries.columns(account="Account", account_type="Wallet"),
        Display(unit="locale", decimals=2, no_value=NO_VALUE),
        sort_by="USD",
    )


def by_coin(queries: Queries) -> Json:
    """The value of each coin."""
    value, price = queries.usd_value(), queries.price()
    return table(
        "Value by coin",
        f"Of all selected accounts. A debt is negative. {LACKS}",
        [
            Column("USD", f"sum by (coin) ({value})", {"decimals": 2} | DEBTS_IN_RED),
            Column("Amount", f"sum by (coin) ({queries.amount()}) and on (coin) {value}", {"decimals": 8}),
            Column("Price", f"{price} and on (coin) {value}", {"decimals": 8, "noValue": "-"}),
        ],
        {"coin": "Coin"},
        Display(unit="locale", no_value=NO_VALUE),
        sort_by="USD",
    )


def account_curves(queries: Queries) -> Json:
    """The total and its parts."""
    value = queries.usd_value()
    return timeseries(
        "Value over time",
        "In total and by account. It falls when an account's balances or the price of a coin are no longer known: see "
        "“Accounts without balances” and “Coins without a price”.",
        [
            Query(f"sum ({value})", "total"),
            Query(f"sum by ({queries.by_account}) ({value})", queries.legend("{{account}} {{account_type}}")),
        ],
        Display(unit="currencyUSD", decimals=2, no_value=NO_VALUE),
    )


def coin_curves(queries: Queries) -> Json:
    """The coins of the total."""
    return timeseries(
        "Value over time, by coin",
        "Of all selected accounts. A debt is negative.",
        [Query(f"sum by (coin) ({queries.usd_value()})", "{{coin}}")],
        Display(unit="currencyUSD", decimals=2, no_value=NO_VALUE),
    )
