"""Equity of unified accounts over time, and what they have borrowed, coin by coin."""

from __future__ import annotations

from .common import EXACT, NOT_STATED, to_exporter, usd
from .layout import Row
from .panels import Column, Display, Json, Query, table, timeseries
from .queries import ACCOUNT, COIN, WALLET, Queries

NO_EQUITY = "No unified account has been read."
NO_DEBT = "No account has borrowed anything in this time."
METRICS = {
    "Borrowed": "bybit_asset_borrowed",
    "Accrued interest": "bybit_asset_accrued_interest",
    "Unrealised P&L": "bybit_asset_unrealised_pnl",
    "Initial margin": "bybit_asset_initial_margin",
    "Maintenance margin": "bybit_asset_maintenance_margin",
}


def rows(queries: Queries) -> list[Row]:
    """The section."""
    return [
        Row(8, [(24, by_coin(queries))]),
        Row(8, [(8, equity_curves(queries)), (8, borrowed_curves(queries)), (8, interest_curves(queries))]),
    ]


def by_coin(queries: Queries) -> Json:
    """Coins in which an account has a debt, a position or margin."""
    parts = "|".join(metric.removeprefix("bybit_asset_") for metric in METRICS.values())
    used = queries.select("", f'__name__=~"bybit_asset_({parts})"', ACCOUNT, WALLET, COIN)
    borrowed = queries.of_coin("bybit_asset_borrowed")
    return table(
        "Debts and margin by coin",
        "Coins of unified accounts that are borrowed or used as margin, in units of the coin. “Not stated”: the "
        "exchange gives no figure, as for the margin of single coins in portfolio margin.",
        [
            Column("Used", f"group by ({queries.by_coin}) ({used} != 0)", hidden=True),
            *(
                Column(title, queries.of_coin(metric), EXACT | {"noValue": NOT_STATED})
                for title, metric in METRICS.items()
            ),
            Column("Borrowed, USD", f"-1 * ({queries.in_usd(borrowed)} > 0)", usd("-")),
        ],
        queries.columns(account="Account", account_type="", coin="Coin"),
        Display(no_value="No account has a debt or a position."),
        to_exporter(queries),
    )


def equity_curves(queries: Queries) -> Json:
    """The equity of each account."""
    return timeseries(
        "Equity over time",
        "Equity of unified accounts in USD, as the exchange states it: debts subtracted, open positions included.",
        [Query(queries.of_account("bybit_account_equity_usd"), queries.legend("{{account}}"))],
        Display(unit="currencyUSD", decimals=2, no_value=NO_EQUITY),
    )


def borrowed_curves(queries: Queries) -> Json:
    """Debts in USD, so that coins compare."""
    borrowed = queries.of_coin("bybit_asset_borrowed")
    return timeseries(
        "Borrowed over time, in USD",
        "What each account has borrowed of each coin, at the prices of each moment.",
        [Query(f"{queries.in_usd(borrowed)} > 0", queries.legend("{{account}} {{coin}}"))],
        Display(unit="currencyUSD", decimals=2, minimum=0, no_value=NO_DEBT),
    )


def interest_curves(queries: Queries) -> Json:
    """Interest in USD, so that coins compare."""
    interest = queries.of_coin("bybit_asset_accrued_interest")
    return timeseries(
        "Accrued interest over time, in USD",
        "Interest that each account owes on each coin and that is not yet deducted, at the prices of each moment.",
        [Query(f"{queries.in_usd(interest)} > 0", queries.legend("{{account}} {{coin}}"))],
        Display(unit="currencyUSD", decimals=2, minimum=0, no_value=NO_DEBT),
    )
