"""Margin of unified accounts: how near each is to liquidation."""

from __future__ import annotations

from .common import COLORED, NOT_STATED, to_exporter, usd
from .layout import Row
from .panels import (
    AMBER,
    DARK_RED,
    GREEN,
    NONE,
    RED,
    Column,
    Display,
    Json,
    Query,
    bar_gauge,
    table,
    thresholds,
    timeseries,
)
from .queries import Queries

NO_RATIO = "not stated: no unified account in cross or portfolio margin"
NO_ACCOUNT = "No unified account has been read."
ISOLATED = "The exchange states none for accounts in isolated margin."


def rows(queries: Queries) -> list[Row]:
    """The section."""
    return [
        Row(8, [(7, ratio_now(queries)), (17, accounts(queries))]),
        Row(8, [(8, maintenance_curves(queries)), (8, initial_curves(queries)), (8, balance_curves(queries))]),
    ]


def steps(queries: Queries) -> list[tuple[str, float | None]]:
    """The limits at which the alerts begin, and that of liquidation."""
    levels = queries.settings.thresholds.maintenance_margin_ratio
    return [(NONE, None), (GREEN, 0), (AMBER, levels.warning), (RED, levels.critical), (DARK_RED, 1)]


def ratio_now(queries: Queries) -> Json:
    """A bar for each account, full at liquidation."""
    return bar_gauge(
        "Maintenance margin ratio",
        f"At 100 % the exchange liquidates positions. The colours change where the alerts begin. {ISOLATED}",
        [Query(queries.of_account("bybit_account_maintenance_margin_ratio"), queries.legend("{{account}}"))],
        Display(unit="percentunit", decimals=1, minimum=0, maximum=1, steps=steps(queries), no_value=NOT_STATED),
    )


def accounts(queries: Queries) -> Json:
    """A row for each unified account, also if the exchange states nothing of its margin."""
    unified = queries.of_account("bybit_account_status", 'account_type="UNIFIED"', 'status="normal"')
    ratio = {"unit": "percentunit", "decimals": 1, "noValue": NOT_STATED}
    colored = ratio | COLORED | {"thresholds": thresholds(*steps(queries))}
    amounts = {
        "Available": "available_balance_usd",
        "Margin balance": "margin_balance_usd",
        "Initial margin": "initial_margin_usd",
        "Maint. margin": "maintenance_margin_usd",
        "Unrealised P&L": "unrealised_pnl_usd",
    }
    return table(
        "Margin by account",
        "Unified accounts, in USD. “Not stated”: the exchange gives no figure, as for accounts in isolated margin, "
        "where each position has its own margin.",
        [
            Column("Unified", unified, hidden=True),
            Column("Maint. ratio", queries.of_account("bybit_account_maintenance_margin_ratio"), colored),
            Column("Initial ratio", queries.of_account("bybit_account_initial_margin_ratio"), ratio),
            *(
                Column(title, queries.of_account(f"bybit_account_{name}"), usd(NOT_STATED))
                for title, name in amounts.items()
            ),
        ],
        queries.columns(account="Account", account_type=""),
        Display(no_value=NO_ACCOUNT),
        to_exporter(queries),
    )


def maintenance_curves(queries: Queries) -> Json:
    """The ratio of each account, with the limits."""
    return timeseries(
        "Maintenance margin ratio over time",
        f"The lines are the limits of the alerts, and 100 %, where the exchange liquidates. {ISOLATED}",
        [Query(queries.of_account("bybit_account_maintenance_margin_ratio"), queries.legend("{{account}}"))],
        Display(unit="percentunit", minimum=0, steps=[(GREEN, None), *steps(queries)[2:]], no_value=NO_RATIO),
        style={"axisSoftMax": 1},
    )


def initial_curves(queries: Queries) -> Json:
    """The other ratio of each account."""
    return timeseries(
        "Initial margin ratio over time",
        f"At 100 % an account can open no further position. {ISOLATED}",
        [Query(queries.of_account("bybit_account_initial_margin_ratio"), queries.legend("{{account}}"))],
        Display(unit="percentunit", minimum=0, steps=[(NONE, None), (AMBER, 1)], no_value=NO_RATIO),
        style={"axisSoftMax": 1},
    )


def balance_curves(queries: Queries) -> Json:
    """What each account has as margin, and what it can still use."""
    return timeseries(
        "Margin balance and available balance",
        f"In USD, by account. {ISOLATED}",
        [
            Query(queries.of_account("bybit_account_margin_balance_usd"), queries.legend("{{account}} margin balance")),
            Query(queries.of_account("bybit_account_available_balance_usd"), queries.legend("{{account}} available")),
        ],
        Display(unit="currencyUSD", decimals=2, no_value=NO_RATIO),
    )
