"""The balances themselves: each coin of each account now, since yesterday, and over time."""

from __future__ import annotations

from .common import DEBTS_IN_RED, EXACT, SUM, to_exporter, usd
from .layout import Row
from .panels import AMBER, GREY, STACKED, Column, Display, Json, Query, override, table, thresholds, timeseries
from .queries import ACCOUNT, WALLET, Queries

WHY_MISSING = (
    "An account that is banned or cannot be read keeps its balances until they are older than stale_after; then they "
    "are removed, so that no old value looks current."
)
NO_BALANCES = "No balances: see “Accounts without balances”."


def table_rows(queries: Queries) -> list[Row]:
    """The tables."""
    return [Row(10, [(24, balances_now(queries))]), Row(7, [(24, changes(queries))])]


def coin_rows(queries: Queries) -> list[Row]:
    """The curves of one coin, repeated for each."""
    return [Row(9, [(12, account_curves(queries)), (12, state_curves(queries))])]


def balances_now(queries: Queries) -> Json:
    """Every balance, with every digit."""
    withdrawing: Json = {
        "custom.cellOptions": {"type": "color-text"},
        "thresholds": thresholds((GREY, None), (AMBER, 1e-18)),
        "noValue": "-",
    }
    return table(
        "Balances now",
        "In units of the coin, every digit as the exchange states it. A negative free balance is a debt. Unified "
        "accounts state equity but no withdrawals. A funding account has no withdrawals here if its key may not read "
        f"them. {WHY_MISSING}",
        [
            Column("Free", queries.of_coin("bybit_asset_free"), EXACT | DEBTS_IN_RED),
            Column("Frozen", queries.of_coin("bybit_asset_frozen"), EXACT),
            Column("Withdrawing", queries.of_coin("bybit_asset_withdrawing"), EXACT | withdrawing),
            Column("Equity", queries.of_coin("bybit_asset_equity"), EXACT | {"noValue": "-"}),
            Column("USD", queries.usd_value(), usd("no price")),
        ],
        queries.columns(account="Account", account_type="Wallet", coin="Coin"),
        Display(no_value=NO_BALANCES),
        to_exporter(queries),
        filterable=True,
    )


def change(queries: Queries) -> str:
    """The amount now minus the amount of 24 h ago, where it is not 0.

    A coin that is listed at one of the times counts as 0 at the other, if the account has balances at both.
    """
    now, before = queries.amount(), queries.amount(" offset 1d")
    difference = f"round(({now} or 0 * {before}) - ({before} or 0 * {now}), 1e-8) != 0"
    balances, on = queries.select("bybit_asset_free", ACCOUNT, WALLET), f"on ({queries.by_account})"
    return f"{difference} and {on} {balances} and {on} {balances} offset 1d"


def changes(queries: Queries) -> Json:
    """Every balance that is not what it was a day ago."""
    changed, before = change(queries), queries.amount(" offset 1d")
    percent = {"unit": "percentunit", "decimals": 2, "noValue": "new"} | DEBTS_IN_RED
    return table(
        "Changed in 24 h",
        "Coins whose amount (free, frozen and withdrawing together) is not what it was 24 h ago. An account is missing "
        "if its balances are not known now, or were not known then. In USD at current prices.",
        [
            Column("Change", changed, SUM | DEBTS_IN_RED),
            Column("in %", f"({changed}) / ({before} > 0)", percent),
            Column("in USD", queries.in_usd(changed), usd("no price")),
        ],
        queries.columns(account="Account", account_type="Wallet", coin="Coin"),
        Display(no_value="Nothing has changed, or nothing is known of 24 h ago."),
        to_exporter(queries),
    )


def account_curves(queries: Queries) -> Json:
    """One coin, by account."""
    return timeseries(
        "$coin by account",
        f"Free, frozen and withdrawing together, in $coin. {WHY_MISSING}",
        [Query(queries.amount(), queries.legend("{{account}} {{account_type}}"))],
        Display(unit="locale", decimals=8, no_value=NO_BALANCES),
    )


def state_curves(queries: Queries) -> Json:
    """One coin, by what can be done with it."""
    colors = {"free": "blue", "frozen": "purple", "withdrawing": AMBER}
    return timeseries(
        "$coin: free, frozen, withdrawing",
        "Sums of the selected accounts, in $coin. They fall when an account's balances are removed: see “Status”.",
        [Query(f"sum ({queries.of_coin(f'bybit_asset_{state}')})", state) for state in colors],
        Display(unit="locale", decimals=8, no_value=NO_BALANCES),
        style=STACKED,
        overrides=[
            override(state, {"color": {"mode": "fixed", "fixedColor": color}}) for state, color in colors.items()
        ],
    )
