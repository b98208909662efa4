"""The subaccounts of master accounts: which are banned or frozen, and what they hold."""

from __future__ import annotations

from .common import COLORED, DEBT_STEPS, EXACT, READING, STATUS_COLORS, usd
from .layout import Row
from .panels import (
    AMBER,
    GREEN,
    GREY,
    RED,
    Column,
    Display,
    Json,
    Query,
    mapping,
    override,
    stat,
    table,
    thresholds,
    timeseries,
)
from .queries import ACCOUNT, COIN, Queries

NONE_READ = "No account reads subaccounts."
NO_BALANCES = "No account reads what its subaccounts hold."
NOT_IN_TOTAL = "Not in “Value of the wallets”."
INCOMPLETE = "Wallets that the exchange marks as incomplete are missing."

_STATUS = mapping({**STATUS_COLORS, 3: ("LOGIN BANNED", RED), 4: ("FROZEN", RED)})


def rows(queries: Queries) -> list[Row]:
    """The section."""
    return [
        Row(8, [(4, counts(queries)), (4, total(queries)), (9, subaccounts(queries)), (7, value_curves(queries))]),
        Row(8, [(12, wallets(queries)), (12, balances(queries))]),
    ]


def of_subaccount(queries: Queries, metric: str, *labels: str) -> str:
    """One value for each subaccount, and for each of these labels."""
    return f"max by ({queries.by('account', 'subaccount', *labels)}) ({queries.select(metric, ACCOUNT)})"


def of_coin(queries: Queries, metric: str) -> str:
    """One value for each subaccount and coin."""
    return f"max by ({queries.by('account', 'subaccount', 'coin')}) ({queries.select(metric, ACCOUNT, COIN)})"


def status_code(queries: Queries) -> str:
    """0 to 4 for no answer, normal, unknown, login-banned and frozen: the worst that is reported of a subaccount."""

    def status(name: str) -> str:
        return queries.select("bybit_subaccount_status", ACCOUNT, f'status="{name}"')

    # Its balances are read by name, also while the list with the statuses cannot be read.
    known = queries.select("bybit_subaccount_balances_up", ACCOUNT)
    codes = {2: "unknown", 3: "login_banned", 4: "frozen"}
    worst = " or ".join(f"{code} * {status(name)}" for code, name in codes.items())
    by = queries.by("account", "subaccount")
    return f"max by ({by}) (0 * {known} or {status('normal')} or {worst})"


def counts(queries: Queries) -> Json:
    """How many are in which state."""
    colors = {"normal": GREEN, "unknown": AMBER, "login_banned": RED, "frozen": RED}
    statuses = of_subaccount(queries, "bybit_subaccount_status", "status")
    return stat(
        "Subaccounts by status",
        "How many subaccounts the exchange states as normal, login-banned, frozen, or with an undocumented status.",
        [Query(f"sum by (status) ({statuses})", "{{status}}")],
        Display(decimals=0, steps=[(GREY, None)], no_value=NONE_READ),
        text="value_and_name",
        overrides=[
            override(status, {"thresholds": thresholds((GREY, None), (color, 1))}) for status, color in colors.items()
        ],
    )


def total(queries: Queries) -> Json:
    """All of them together."""
    return stat(
        "Value of subaccounts",
        f"All wallets of all subaccounts in USD, as the exchange values them. {INCOMPLETE} {NOT_IN_TOTAL}",
        [Query(f"sum ({of_subaccount(queries, 'bybit_subaccount_equity_usd', 'wallet')})")],
        Display(unit="locale", decimals=2, steps=DEBT_STEPS, no_value="not stated"),
        text="value",
    )


def subaccounts(queries: Queries) -> Json:
    """A row for each, those first that are not normal."""
    value = of_subaccount(queries, "bybit_subaccount_equity_usd", "wallet")
    read = {"mappings": [READING], "custom.cellOptions": {"type": "color-text"}, "noValue": "-"}
    return table(
        "Subaccounts",
        "Those first that are not normal. “No answer”: the list has not been read for three minutes. “USD”: all "
        f"wallets together. {INCOMPLETE} “Coins read”: whether the latest reading of single coins succeeded.",
        [
            Column("Status", status_code(queries), COLORED | {"mappings": [_STATUS]}),
            Column("USD", f"sum by ({queries.by('account', 'subaccount')}) ({value})", usd("not stated")),
            Column("Coins read", of_subaccount(queries, "bybit_subaccount_balances_up"), read),
        ],
        queries.columns(account="Account", subaccount="Subaccount"),
        Display(no_value=NONE_READ),
        sort_by="Status",
    )


def value_curves(queries: Queries) -> Json:
    """The value of each."""
    value = of_subaccount(queries, "bybit_subaccount_equity_usd", "wallet")
    return timeseries(
        "Value of subaccounts over time",
        f"All wallets of each subaccount together, in USD. {INCOMPLETE}",
        [
            Query(
                f"sum by ({queries.by('account', 'subaccount')}) ({value})",
                queries.legend("{{account}} {{subaccount}}"),
            )
        ],
        Display(unit="currencyUSD", decimals=2, no_value=NO_BALANCES),
    )


def wallets(queries: Queries) -> Json:
    """A row for each wallet of each."""
    return table(
        "Wallets of subaccounts",
        f"In USD, as the exchange values them; from one request for all subaccounts. {INCOMPLETE}",
        [Column("USD", of_subaccount(queries, "bybit_subaccount_equity_usd", "wallet"), usd("-"))],
        queries.columns(account="Account", subaccount="Subaccount", wallet="Wallet"),
        Display(no_value=NO_BALANCES),
        sort_by="USD",
        filterable=True,
    )


def balances(queries: Queries) -> Json:
    """A row for each coin of each."""
    parts = queries.select("", '__name__=~"bybit_subaccount_asset_(free|frozen)"', ACCOUNT, COIN)
    by = queries.by("account", "subaccount", "coin")
    amounts = f"sum by ({by}) (max by (__name__, {by}) ({parts}))"
    return table(
        "Balances of subaccounts",
        "In their funding wallets, in units of the coin, every digit as the exchange states it; and in USD at current "
        "prices. Only with subaccounts: {balances: FUND}.",
        [
            Column("Free", of_coin(queries, "bybit_subaccount_asset_free"), EXACT),
            Column("Frozen", of_coin(queries, "bybit_subaccount_asset_frozen"), EXACT),
            Column("USD", queries.in_usd(amounts), usd("no price")),
        ],
        queries.columns(account="Account", subaccount="Subaccount", coin="Coin"),
        Display(no_value=NO_BALANCES),
        sort_by="USD",
        filterable=True,
    )
