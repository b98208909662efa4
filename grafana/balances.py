"""The dashboard for people with money: what is there and what it is worth, what moves, and who is banned."""

from __future__ import annotations

from . import subaccounts, value
from .common import (
    ACCOUNT_VARIABLES,
    ANNOTATIONS,
    BALANCES_UID,
    BY_ACCOUNT,
    BY_COIN,
    EXACT,
    HELD,
    OPERATIONS_UID,
    REASON_OF_FAILURE,
    STATUS,
    SUM,
    WALLET,
    alerts,
    of_account,
    total,
    worth,
)
from .layout import Shelf, account_link, dashboard, heading, link_to, variable
from .panels import AMBER, GREY, STACKED, Column, Json, Look, Query, override, stat, state_timeline, table, timeseries

WHY_NOT_SHOWN = (
    "A banned account, or one that cannot be read, keeps its balances until they are older than stale_after; then they "
    "end here rather than look current."
)
NO_BALANCES = "No balances: see “Not shown” and “Status”."

TO_OPERATIONS = {"account": account_link(OPERATIONS_UID, "How ${__value.raw} is polled")}


def of_coin(metric: str) -> str:
    """One value for each account and coin."""
    return f"max by ({BY_COIN}) ({metric}{{{HELD}}})"


# Now less then, where a coin that is not listed counts as 0, as long as the account has figures at both times.
BEFORE = " offset 1d"
CHANGE = (
    f"round(({total()} or 0 * {total(BEFORE)}) - ({total(BEFORE)} or 0 * {total()}), 1e-8) != 0 "
    f"and on ({BY_ACCOUNT}) bybit_asset_free and on ({BY_ACCOUNT}) bybit_asset_free{BEFORE}"
)


def status_now() -> Json:
    """A big tile for each account."""
    return stat(
        "Status",
        "What the exchange says of each account now. “No answer”: nothing within stale_after. “Unknown”: something "
        "that its documentation does not name; log in and look.",
        [Query(_STATUS_CODE, "{{account}}")],
        Look(mappings=[STATUS], steps=[(GREY, None)], no_value="no exporter answers"),
        text="value_and_name",
    )


# The worst of what is said: polls_total says nothing of the status, but that the account is watched.
_STATUS_CODE = (
    f"max by ({BY_ACCOUNT}) (0 * bybit_polls_total{{{WALLET}}} "
    f'or bybit_account_status{{{WALLET}, status="normal"}} '
    f'or 2 * bybit_account_status{{{WALLET}, status="unknown"}} '
    f'or 3 * bybit_account_status{{{WALLET}, status="banned"}})'
)


def status_over_time() -> Json:
    """A lane for each account."""
    return state_timeline(
        "Status over time",
        "The same in the time chosen. A gap: no exporter answered.",
        [Query(_STATUS_CODE, "{{account}}")],
        Look(mappings=[STATUS], steps=[(GREY, None)], no_value="No exporter answered in this time."),
    )


def not_shown() -> Json:
    """The accounts without balances, and why."""
    missing = f"unless on ({BY_ACCOUNT}) bybit_asset_free"
    return table(
        "Not shown",
        f"The accounts whose balances are not shown now. {WHY_NOT_SHOWN} What each reason means is in the README.",
        [
            Column("Polls", f"{of_account('bybit_polls_total')} {missing}", hidden=True),
            Column(
                "Last read",
                f"1000 * {of_account('bybit_last_success_timestamp_seconds')} {missing}",
                {"unit": "dateTimeFromNow", "noValue": "never"},
            ),
            Column("Failures, 15 min", f"{REASON_OF_FAILURE} {missing}", hidden=True),
        ],
        {"account": "Account", "account_type": "Wallet", "reason": "Why"},
        Look(no_value="The balances of every account are current."),
        TO_OPERATIONS | {"reason": {"noValue": "no poll has failed lately"}},
    )


def balances_now() -> Json:
    """The figures themselves."""
    amber_above_zero = {"mode": "absolute", "steps": [{"color": GREY, "value": None}, {"color": AMBER, "value": 1e-18}]}
    under_way = {
        "custom.cellOptions": {"type": "color-text"},
        "thresholds": amber_above_zero,
        "noValue": "-",
    }
    in_usd = {"unit": "locale", "decimals": 2}
    return table(
        "Balances now",
        "In units of the coin, every digit as the exchange states it; a debt is negative. Unified accounts state "
        "equity and no withdrawals; of a funding account withdrawals are missing where they cannot be read. "
        f"{WHY_NOT_SHOWN}",
        [
            Column("Free", of_coin("bybit_asset_free"), EXACT),
            Column("Frozen", of_coin("bybit_asset_frozen"), EXACT),
            Column("Withdrawing", of_coin("bybit_asset_withdrawing"), EXACT | under_way),
            Column("USD", worth(total()), in_usd | {"noValue": "no price"}),
            Column("Equity", of_coin("bybit_asset_equity"), EXACT | {"noValue": "-"}),
            Column("USD as Bybit states", of_coin("bybit_asset_usd_value"), in_usd | {"noValue": "-"}),
        ],
        {"account": "Account", "account_type": "Wallet", "coin": "Coin"},
        Look(no_value=NO_BALANCES),
        TO_OPERATIONS,
    )


def changes() -> Json:
    """What is different from yesterday."""
    return table(
        "Changed in 24 h",
        "Free, frozen and withdrawing together, where the sum is not what it was 24 h ago. An account is missing if "
        "its balances are not known now, or were not then. In USD at the prices of now.",
        [
            Column("Change", CHANGE, SUM),
            Column(
                "in %", f"({CHANGE}) / ({total(BEFORE)} > 0)", {"unit": "percentunit", "decimals": 2, "noValue": "new"}
            ),
            Column("in USD", worth(CHANGE), {"unit": "locale", "decimals": 2, "noValue": "no price"}),
        ],
        {"account": "Account", "account_type": "Wallet", "coin": "Coin"},
        Look(no_value="Nothing has changed, or nothing is known of 24 h ago."),
        TO_OPERATIONS,
    )


def total_over_time() -> Json:
    """One coin, account by account."""
    return timeseries(
        "$coin by account",
        f"Free, frozen and withdrawing together, in $coin. {WHY_NOT_SHOWN}",
        [Query(total(), "{{account}} {{account_type}}")],
        Look(unit="locale", decimals=8, no_value=NO_BALANCES),
    )


def states_over_time() -> Json:
    """One coin, by what can be done with it."""
    return timeseries(
        "$coin: free, frozen, withdrawing",
        "The sum of the accounts chosen, in $coin. It falls when the balances of one of them end: see “Status”.",
        [
            Query(f"sum ({of_coin('bybit_asset_free')})", "free"),
            Query(f"sum ({of_coin('bybit_asset_frozen')})", "frozen"),
            Query(f"sum ({of_coin('bybit_asset_withdrawing')})", "withdrawing"),
        ],
        Look(unit="locale", decimals=8, no_value=NO_BALANCES),
        style=STACKED,
        overrides=[
            override(name, {"color": {"mode": "fixed", "fixedColor": color}})
            for name, color in (("free", "blue"), ("frozen", "purple"), ("withdrawing", AMBER))
        ],
    )


BALANCES = dashboard(
    BALANCES_UID,
    "Bybit balances",
    "The balances, their value and the status of Bybit accounts, as bybit-exporter reads them.",
    [
        Shelf(6, [(15, status_now()), (9, alerts())]),
        Shelf(6, [(15, status_over_time()), (9, not_shown())]),
        heading("Value"),
        *value.SHELVES,
        heading("Balances"),
        Shelf(10, [(24, balances_now())]),
        Shelf(7, [(24, changes())]),
        heading("Subaccounts"),
        *subaccounts.SHELVES,
        heading("$coin", repeat="coin"),
        Shelf(9, [(12, total_over_time()), (12, states_over_time())]),
    ],
    [*ACCOUNT_VARIABLES, variable("coin", "Coin", f"label_values(bybit_asset_free{{{WALLET}}}, coin)")],
    ANNOTATIONS,
    [link_to(OPERATIONS_UID, "Bybit exporter", "How the accounts are polled")],
    hours=24,
)
