"""What the accounts are worth in USD: balances times prices, in total, by account and by coin."""

from __future__ import annotations

from .common import BY_ACCOUNT, BY_COIN, HELD, PRICE, USD, total, worth
from .layout import Shelf
from .panels import Column, Json, Look, Query, stat, table, timeseries

VALUE = worth(total())

NO_VALUE = "No balance with a price."
LACKS = "What is under “Not shown” and “Without a price” is not in it."


def value_now() -> Json:
    """Everything together."""
    return stat(
        "Value in USD",
        f"Free, frozen and withdrawing of all accounts and coins chosen, less debts, at the prices of now. {LACKS}",
        [Query(f"sum ({VALUE})")],
        Look(unit="currencyUSD", decimals=2, steps=USD, no_value=NO_VALUE),
        text="value",
    )


def without_price() -> Json:
    """What the total lacks."""
    return table(
        "Without a price",
        "The coins that some account has or owes, but that have no price now, and are in no value: no spot pair with "
        "USDT, or prices are switched off or cannot be read.",
        [Column("Amount", f"sum by (coin) ({total()} != 0) unless on (coin) {PRICE}", {"decimals": 8})],
        {"coin": "Coin"},
        Look(unit="locale", no_value="None: every coin has a price."),
    )


def by_account() -> Json:
    """Where it is."""
    stated = f"sum by ({BY_ACCOUNT}) (max by ({BY_COIN}) (bybit_asset_usd_value{{{HELD}}}))"
    return table(
        "Value by account",
        f"As above. “As Bybit states” is its own figure for unified accounts, which counts open positions too. {LACKS}",
        [
            Column("USD", f"sum by ({BY_ACCOUNT}) ({VALUE})"),
            Column("As Bybit states", stated, {"noValue": "-"}),
        ],
        {"account": "Account", "account_type": "Wallet"},
        Look(unit="locale", decimals=2, no_value=NO_VALUE),
        sort_by="USD",
    )


def by_coin() -> Json:
    """What it is."""
    return table(
        "Value by coin",
        f"Of all accounts chosen. A debt is negative. {LACKS}",
        [
            Column("USD", f"sum by (coin) ({VALUE})", {"decimals": 2}),
            Column("Amount", f"sum by (coin) ({total()}) and on (coin) {PRICE}", {"decimals": 8}),
            Column("Price", f"{PRICE} and on (coin) {total()}", {"decimals": 8}),
        ],
        {"coin": "Coin"},
        Look(unit="locale", no_value=NO_VALUE),
        sort_by="USD",
    )


def accounts_over_time() -> Json:
    """The total and its parts."""
    return timeseries(
        "Value over time",
        "In total and by account, at the prices of each moment. It falls when the balances of an account or the price "
        "of a coin end: see “Not shown” and “Without a price”.",
        [
            Query(f"sum ({VALUE})", "total"),
            Query(f"sum by ({BY_ACCOUNT}) ({VALUE})", "{{account}} {{account_type}}"),
        ],
        Look(unit="currencyUSD", decimals=2, no_value=NO_VALUE),
    )


def coins_over_time() -> Json:
    """What the total is made of."""
    return timeseries(
        "Value over time, by coin",
        "Of all accounts chosen, at the prices of each moment. A debt is negative.",
        [Query(f"sum by (coin) ({VALUE})", "{{coin}}")],
        Look(unit="currencyUSD", decimals=2, no_value=NO_VALUE),
    )


SHELVES = [
    Shelf(8, [(4, value_now()), (4, without_price()), (8, by_account()), (8, by_coin())]),
    Shelf(8, [(12, accounts_over_time()), (12, coins_over_time())]),
]
