"""Polls: which accounts are read, how old their values are, and why polls fail."""

from __future__ import annotations

from .common import COLORED, READING, to_balances
from .layout import Row
from .panels import AMBER, BARS, GREEN, GREY, RED, Column, Display, Json, Query, stat, state_timeline, table, timeseries
from .queries import ACCOUNT, WALLET, Queries

NO_POLLS = "No account is polled: is the exporter down?"

# The default of stale_after is three intervals.
OLD = [(GREY, None), (GREEN, 0), (AMBER, 2), (RED, 3)]
LINEAR: Json = {"lineInterpolation": "linear"}


def rows(queries: Queries) -> list[Row]:
    """The section."""
    return [
        Row(8, [(12, results(queries)), (12, failures(queries))]),
        Row(8, [(8, age(queries)), (8, durations(queries)), (8, rate(queries))]),
    ]


def age_in_seconds(queries: Queries) -> str:
    """Seconds since the latest successful poll of each account."""
    return f"(time() - {queries.of_account('bybit_last_success_timestamp_seconds')})"


def age_in_intervals(queries: Queries) -> str:
    """The same in poll intervals."""
    return f"{age_in_seconds(queries)} / {queries.of_account('bybit_poll_interval_seconds')}"


def failing(queries: Queries) -> Json:
    """How many accounts are not read."""
    up = queries.of_account("bybit_up")
    return stat(
        "Accounts failing",
        "Accounts whose latest poll failed, at every exporter that polls them. No figure: no account has been polled, "
        "or the exporter is down.",
        [Query(f"count({up} == 0) or 0 * count({up})")],
        Display(steps=[(GREY, None), (GREEN, 0), (RED, 1)], no_value="none polled"),
    )


def oldest(queries: Queries) -> Json:
    """The age of the account that was read longest ago."""
    return stat(
        "Oldest values",
        "Age of the oldest account's values, in poll intervals; about 1 while all is well. From stale_after on, 3 by "
        "default, balances are removed.",
        [Query(f"max({age_in_intervals(queries)})")],
        Display(decimals=1, minimum=0, steps=OLD, no_value="none read yet"),
    )


def accounts(queries: Queries) -> Json:
    """A row for each account."""
    seconds = {"unit": "s", "decimals": 1}
    next_poll = f"{queries.of_account('bybit_next_poll_timestamp_seconds')} - time()"
    return table(
        "Accounts",
        "The latest poll of each account. “Next in” is longer than the interval while the exporter waits because "
        "the exchange refused a request. “Age” is that of the values. "
        "“Failures” and “Reason”: the most frequent reason of the last 15 minutes.",
        [
            Column(
                "Latest poll", queries.of_account("bybit_up"), COLORED | {"mappings": [READING], "noValue": "none yet"}
            ),
            Column("Interval", queries.of_account("bybit_poll_interval_seconds"), seconds),
            Column("Took", queries.of_account("bybit_poll_duration_seconds"), seconds | {"decimals": 3}),
            Column("Age", age_in_seconds(queries), seconds | {"noValue": "never read"}),
            Column("Next in", next_poll, seconds),
            Column("Failures", f"round({queries.commonest_failure()})", {"noValue": "0"}),
        ],
        queries.columns(account="Account", account_type="Wallet", reason="Reason", job=True),
        Display(no_value=NO_POLLS),
        to_balances(queries),
    )


def results(queries: Queries) -> Json:
    """A lane for each account."""
    return state_timeline(
        "Latest poll",
        "Whether the latest poll of each account succeeded. A gap: the exporter did not answer.",
        [Query(queries.of_account("bybit_up"), queries.legend("{{account}}"))],
        Display(mappings=[READING], steps=[(GREY, None)], no_value=NO_POLLS),
    )


def failures(queries: Queries) -> Json:
    """Why polls fail."""
    return timeseries(
        "Failed polls by reason",
        "The README explains each reason and what to do about it, under Troubleshooting.",
        [Query(f"sum by (reason) ({queries.failures('$__rate_interval')}) > 0", "{{reason}}")],
        Display(decimals=0, minimum=0, no_value="No poll failed in this time."),
        style=BARS,
    )


def age(queries: Queries) -> Json:
    """How old the values are."""
    return timeseries(
        "Age of the values, in poll intervals",
        "About 1 while all is well. From stale_after on, 3 by default, balances are removed. More than 10 is "
        "not drawn.",
        [Query(age_in_intervals(queries), queries.legend("{{account}}"))],
        Display(
            decimals=1, minimum=0, maximum=10, steps=[(GREEN, None), *OLD[2:]], no_value="No account has been read."
        ),
        style=LINEAR,
    )


def durations(queries: Queries) -> Json:
    """How long polls take."""
    return timeseries(
        "Duration of polls",
        "From the request to the validated answer, with a retry if there was one.",
        [Query(queries.of_account("bybit_poll_duration_seconds"), queries.legend("{{account}}"))],
        Display(unit="s", minimum=0, no_value=NO_POLLS),
    )


def rate(queries: Queries) -> Json:
    """How often accounts are polled."""
    polls = f"rate({queries.select('bybit_polls_total', ACCOUNT, WALLET)}[$__rate_interval])"
    return timeseries(
        "Polls per minute",
        "By the exporter that polls the account most often. Fewer than the interval gives: the exporter waits because "
        "the exchange refused a request.",
        [Query(f"60 * max by ({queries.by_account}) ({polls})", queries.legend("{{account}}"))],
        Display(minimum=0, no_value=NO_POLLS),
    )


def waits(queries: Queries) -> Json:
    """When accounts are polled next."""
    seconds = f"clamp_min({queries.of_account('bybit_next_poll_timestamp_seconds')} - time(), 0)"
    return timeseries(
        "Time to the next poll",
        "Longer than the interval while the exporter waits after a refusal: up to 5 minutes, or 10 if the address is "
        "blocked.",
        [Query(seconds, queries.legend("{{account}}"))],
        Display(unit="s", minimum=0, no_value=NO_POLLS),
        style=LINEAR,
    )
