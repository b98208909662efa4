"""For operators: what is read beside the balances (keys, withdrawals, subaccounts, prices), and the shards."""

from __future__ import annotations

from .common import ACCOUNT, BALANCES_UID, READING
from .layout import Shelf, account_link
from .panels import AMBER, GREEN, GREY, RED, Column, Json, Look, Query, mapping, stat, state_timeline, table, thresholds

COLORED: Json = {"custom.cellOptions": {"type": "color-background"}}
TO_BALANCES = {"account": account_link(BALANCES_UID, "Balances of ${__value.raw}")}

# The alerts begin at the same numbers of days.
DAYS_LEFT = thresholds((RED, None), (AMBER, 3), (GREEN, 14))


def by_account(metric: str, worst: str = "max") -> str:
    """One value for each account."""
    return f"{worst} by (account) ({metric}{{{ACCOUNT}}})"


BALANCES_OF_SUBACCOUNTS = f"min by (account) (max by (account, subaccount) (bybit_subaccount_balances_up{{{ACCOUNT}}}))"


def prices() -> Json:
    """Whether there are any."""
    return stat(
        "Prices",
        "Whether each exporter could read the prices the last time. No figure: they are switched off, or there is no "
        "exporter.",
        [Query("bybit_prices_up", "{{instance}}")],
        Look(mappings=[mapping({0: ("FAILED", RED), 1: ("read", GREEN)})], no_value="switched off"),
        text="value",
    )


def shards() -> Json:
    """Whether all of them run."""
    running = "group by (job, shard, total_shards) (bybit_exporter_shard_info)"
    return stat(
        "Shards",
        "How many of the shards answer, and of how many. If it is fewer, nobody asks for a part of the accounts.",
        [Query(f"count by (job, total_shards) ({running})", "of {{total_shards}}")],
        Look(decimals=0, steps=[(GREY, None)], no_value="no exporter"),
        text="value_and_name",
    )


def keys() -> Json:
    """The health of each key."""
    return table(
        "Keys",
        "What Bybit says of each key, once an hour. An exporter's key should only read, and be bound to the address of "
        "its machine: then it does not end.",
        [
            Column("Latest check", by_account("bybit_api_key_up"), COLORED | {"mappings": [READING]}),
            Column(
                "Read-only",
                by_account("bybit_api_key_read_only", "min"),
                COLORED | {"mappings": [mapping({0: ("NO", RED), 1: ("yes", GREEN)})], "noValue": "not known"},
            ),
            Column(
                "Bound to address",
                by_account("bybit_api_key_ip_bound", "min"),
                COLORED | {"mappings": [mapping({0: ("no", AMBER), 1: ("yes", GREEN)})], "noValue": "not known"},
            ),
            Column(
                "Days left",
                f"({by_account('bybit_api_key_expiry_timestamp_seconds', 'min')} - time()) / 86400",
                COLORED | {"thresholds": DAYS_LEFT, "decimals": 1, "noValue": "no end known"},
            ),
        ],
        {"account": "Account"},
        Look(no_value="No key has been checked."),
        TO_BALANCES,
    )


def readings() -> Json:
    """What else is read of each account."""
    shown = COLORED | {"mappings": [READING], "noValue": "-"}
    return table(
        "Other readings",
        "The latest reading of what is asked for beside the balances; of the balances of subaccounts, the worst. A "
        "dash: not asked for, or not allowed to this key.",
        [
            Column("Polls", by_account("bybit_polls_total"), hidden=True),
            Column("Withdrawals", by_account("bybit_withdrawals_up"), shown),
            Column("Subaccounts", by_account("bybit_subaccounts_up"), shown),
            Column("Their balances", BALANCES_OF_SUBACCOUNTS, shown),
        ],
        {"account": "Account"},
        Look(no_value="No account is polled."),
        TO_BALANCES,
    )


def readings_over_time() -> Json:
    """A lane for each reading."""
    return state_timeline(
        "Other readings over time",
        "Since when one of them has failed. A gap: the exporter did not answer.",
        [
            Query(by_account("bybit_withdrawals_up"), "{{account}} withdrawals"),
            Query(by_account("bybit_subaccounts_up"), "{{account}} subaccounts"),
            Query(BALANCES_OF_SUBACCOUNTS, "{{account}} balances of subaccounts"),
            Query("bybit_prices_up", "prices, {{instance}}"),
        ],
        Look(mappings=[READING], steps=[(GREY, None)], no_value="Nothing is read beside the balances."),
    )


SHELVES = [Shelf(8, [(9, keys()), (7, readings()), (8, readings_over_time())])]
