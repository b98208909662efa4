"""The dashboard for traders and treasuries: status, value, margin, debts, products, balances and subaccounts."""

from __future__ import annotations

from . import debts, holdings, margin, products, subaccounts, value
from .common import BALANCES_UID, EXPORTER_UID, STATUS, alerts, status_annotations, to_exporter, variables
from .holdings import WHY_MISSING
from .layout import Row, dashboard, link_to, section, variable
from .panels import GREY, Column, Display, Json, Query, stat, state_timeline, table
from .queries import ACCOUNT, WALLET, Queries


def balances_dashboard(queries: Queries) -> Json:
    """The whole dashboard."""
    coins = queries.select("bybit_asset_free", ACCOUNT, WALLET)
    return dashboard(
        BALANCES_UID,
        "Bybit balances",
        "Balances, value, margin and status of Bybit accounts, as bybit-exporter reads them.",
        [
            Row(6, [(15, status_now(queries)), (9, alerts(queries))]),
            Row(6, [(15, status_over_time(queries)), (9, without_balances(queries))]),
            section("Value"),
            *value.rows(queries),
            section("Margin and liquidation"),
            *margin.rows(queries),
            section("Equity and debts"),
            *debts.rows(queries),
            section("Products outside the wallets: Earn, bots, copy trading, loans"),
            *products.rows(queries),
            section("Balances"),
            *holdings.table_rows(queries),
            section("Subaccounts"),
            *subaccounts.rows(queries),
            section("$coin", repeat="coin"),
            *holdings.coin_rows(queries),
        ],
        [*variables(queries), variable("coin", "Coin", f"label_values({coins}, coin)")],
        status_annotations(queries),
        [link_to(EXPORTER_UID, "Bybit exporter", "How the accounts are polled")],
        hours=24,
    )


def status_code(queries: Queries) -> str:
    """0 to 3 for no answer, normal, unknown and banned: the worst that is reported of an account."""

    def status(name: str) -> str:
        return queries.select("bybit_account_status", ACCOUNT, WALLET, f'status="{name}"')

    # Every account that is polled has polls_total, also without a status.
    polled = queries.select("bybit_polls_total", ACCOUNT, WALLET)
    worst = f"0 * {polled} or {status('normal')} or 2 * {status('unknown')} or 3 * {status('banned')}"
    return f"max by ({queries.by_account}) ({worst})"


def status_now(queries: Queries) -> Json:
    """A big tile for each account."""
    return stat(
        "Status",
        "The status of each account at the exchange now. “No answer”: no poll has succeeded within stale_after. "
        "“Unknown”: a status that Bybit's documentation does not name; log in at Bybit to see more.",
        [Query(status_code(queries), queries.legend("{{account}}"))],
        Display(mappings=[STATUS], steps=[(GREY, None)], no_value="no exporter answers"),
        text="value_and_name",
    )


def status_over_time(queries: Queries) -> Json:
    """A lane for each account."""
    return state_timeline(
        "Status over time",
        "The status of each account in the time range. A gap: no exporter answered.",
        [Query(status_code(queries), queries.legend("{{account}}"))],
        Display(mappings=[STATUS], steps=[(GREY, None)], no_value="No exporter answered in this time."),
    )


def without_balances(queries: Queries) -> Json:
    """The accounts without balances, and why."""
    balances = queries.select("bybit_asset_free", ACCOUNT, WALLET)
    read = f"{queries.select('bybit_up', ACCOUNT, WALLET)} == 1"  # an empty account is read, too
    missing = f"unless on ({queries.by_account}) ({balances} or {read})"
    return table(
        "Accounts without balances",
        f"Accounts that have no balances now. {WHY_MISSING} The README explains each reason.",
        [
            Column("Polls", f"{queries.of_account('bybit_polls_total')} {missing}", hidden=True),
            Column(
                "Last read",
                f"1000 * {queries.of_account('bybit_last_success_timestamp_seconds')} {missing}",
                {"unit": "dateTimeFromNow", "noValue": "never"},
            ),
            Column("Failures, 15 min", f"{queries.commonest_failure()} {missing}", hidden=True),
        ],
        queries.columns(account="Account", account_type="Wallet", reason="Reason"),
        Display(no_value="Every account has current balances."),
        to_exporter(queries) | {"reason": {"noValue": "no failed poll lately"}},
    )
