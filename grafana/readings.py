"""What is read besides the balances (keys, withdrawals, products, subaccounts, prices), and the shards."""

from __future__ import annotations

from .common import BELOW_LOWEST, COLORED, LOWEST, READING, to_balances
from .layout import Row
from .panels import (
    AMBER,
    GREEN,
    GREY,
    NONE,
    RED,
    Column,
    Display,
    Json,
    Query,
    mapping,
    stat,
    state_timeline,
    table,
    thresholds,
)
from .queries import ACCOUNT, Queries


def rows(queries: Queries) -> list[Row]:
    """The section."""
    return [
        Row(8, [(11, keys(queries)), (13, readings(queries))]),
        Row(8, [(24, readings_over_time(queries))]),
    ]


def prices(queries: Queries) -> Json:
    """Whether prices are read."""
    return stat(
        "Prices",
        "Whether the latest reading of the prices succeeded, for each exporter. No figure: they are switched off, or "
        "there is no exporter.",
        [Query(queries.of_instance("bybit_prices_up"), "{{instance}}")],
        Display(mappings=[mapping({0: ("FAILED", RED), 1: ("read", GREEN)})], no_value="switched off"),
        text="value",
    )


def shards(queries: Queries) -> Json:
    """Whether all of them run."""
    by = queries.by("total_shards")
    info = queries.select("bybit_exporter_shard_info")
    running = f"group by ({queries.by('shard', 'total_shards')}) ({info})"
    return stat(
        "Shards",
        "How many shards answer, and of how many. If some are missing, their accounts are not polled.",
        [Query(f"count by ({by}) ({running})", queries.legend("of {{total_shards}}"))],
        Display(decimals=0, steps=[(GREY, None)], no_value="no exporter"),
        text="value_and_name",
    )


def keys(queries: Queries) -> Json:
    """The state of each key."""
    of_key = queries.of_account_only
    levels = queries.settings.thresholds.key_expires_in_days
    days_left = thresholds((NONE, BELOW_LOWEST), (RED, LOWEST), (AMBER, levels.critical), (GREEN, levels.warning))

    def flag(no: tuple[str, str], yes: tuple[str, str]) -> Json:
        return COLORED | {"mappings": [mapping({0: no, 1: yes})], "noValue": "not known"}

    return table(
        "Keys",
        "What Bybit states about each key, once an hour. An exporter's key should be read-only, and bound to the "
        "address of its machine: then it does not expire.",
        [
            Column("Latest check", of_key("bybit_api_key_up"), COLORED | {"mappings": [READING]}),
            Column("Read-only", of_key("bybit_api_key_read_only", "min"), flag(("NO", RED), ("yes", GREEN))),
            Column("May withdraw", of_key("bybit_api_key_withdraw"), flag(("no", GREEN), ("YES", RED))),
            Column("IP-bound", of_key("bybit_api_key_ip_bound", "min"), flag(("no", AMBER), ("yes", GREEN))),
            Column(
                "Days left",
                f"({of_key('bybit_api_key_expiry_timestamp_seconds', 'min')} - time()) / 86400",
                COLORED | {"thresholds": days_left, "decimals": 1, "noValue": "no end known"},
            ),
        ],
        queries.columns(account="Account"),
        Display(no_value="No key has been checked."),
        to_balances(queries),
    )


def sources(queries: Queries) -> dict[str, str]:
    """Everything that is read besides the balances, by the title of its column."""
    single = queries.select("bybit_subaccount_balances_up", ACCOUNT)
    return {
        "Withdrawals": queries.of_account_only("bybit_withdrawals_up"),
        "Held back": queries.of_account_only("bybit_risk_frozen_up"),
        "Products": queries.of_account_only("bybit_products_up"),
        "Subaccounts": queries.of_account_only("bybit_subaccounts_up"),
        "Sub. value": queries.of_account_only("bybit_subaccount_equity_up"),
        "Sub. coins": f"min by ({queries.by('account')}) (max by ({queries.by('account', 'subaccount')}) ({single}))",
    }


def readings(queries: Queries) -> Json:
    """What else is read of each account."""
    shown = COLORED | {"mappings": [READING], "noValue": "-"}
    return table(
        "Other readings",
        "Whether the latest reading of everything besides the balances succeeded: withdrawals, funds held back, "
        "products, the list of subaccounts, their value, and their single coins (the worst of them). A dash: not "
        "configured, or this key may not read it.",
        [
            Column("Polls", queries.of_account_only("bybit_polls_total"), hidden=True),
            *(Column(title, expr, shown) for title, expr in sources(queries).items()),
        ],
        queries.columns(account="Account"),
        Display(no_value="No account is polled."),
        to_balances(queries),
    )


def readings_over_time(queries: Queries) -> Json:
    """A lane for each reading of each account."""
    names = {
        "Held back": "funds held back",
        "Sub. value": "value of subaccounts",
        "Sub. coins": "coins of subaccounts",
    }
    of_accounts = [
        Query(expr, queries.legend(f"{{{{account}}}} {names.get(title, title.lower())}"))
        for title, expr in sources(queries).items()
    ]
    prices_up = Query(queries.of_instance("bybit_prices_up"), "prices, {{instance}}")
    return state_timeline(
        "Other readings over time",
        "Since when one of them has failed. A gap: the exporter did not answer.",
        [*of_accounts, prices_up],
        Display(mappings=[READING], steps=[(GREY, None)], no_value="Nothing besides the balances is read."),
    )
