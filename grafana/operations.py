"""The dashboard for operators: whether the exporter reads what it should, and if not, why."""

from __future__ import annotations

from . import readings
from .common import (
    ACCOUNT,
    ACCOUNT_VARIABLES,
    ANNOTATIONS,
    BALANCES_UID,
    BY_ACCOUNT,
    OPERATIONS_UID,
    READING,
    REASON_OF_FAILURE,
    WALLET,
    alerts,
    of_account,
)
from .layout import Shelf, account_link, dashboard, heading, link_to
from .panels import (
    AMBER,
    BARS,
    GREEN,
    GREY,
    RED,
    Column,
    Json,
    Look,
    Query,
    mapping,
    stat,
    state_timeline,
    table,
    timeseries,
)

NO_POLLS = "No account is polled: is the exporter down?"

UP = of_account("bybit_up")
AGE = f"(time() - {of_account('bybit_last_success_timestamp_seconds')})"
AGE_IN_INTERVALS = f"{AGE} / {of_account('bybit_poll_interval_seconds')}"
TO_NEXT_POLL = f"{of_account('bybit_next_poll_timestamp_seconds')} - time()"
HEADROOM = (
    "min by (account, endpoint) "
    f"(bybit_api_rate_limit_remaining_requests{{{ACCOUNT}}} / bybit_api_rate_limit_requests{{{ACCOUNT}}})"
)

# The default of stale_after is three intervals.
OLD = [(GREEN, None), (AMBER, 2), (RED, 3)]
LITTLE_LEFT = [(RED, None), (AMBER, 0.1), (GREEN, 0.25)]
# The exchange refuses what comes from a second ahead of its clock.
OFF = [(RED, None), (AMBER, -1), (GREEN, -0.5), (AMBER, 0.5), (RED, 1)]


def of_exporter(process_metric: str) -> str:
    """A metric of the process, of exporters only: every program that Prometheus watches may have it."""
    return f"{process_metric} and on (job, instance) bybit_exporter_build_info"


def exporters() -> Json:
    """Whether the exporters can be scraped."""
    return stat(
        "Exporters",
        "Whether Prometheus reaches each exporter that it has known in the last 24 h.",
        [Query("up and on (job, instance) last_over_time(bybit_exporter_build_info[1d])", "{{instance}}")],
        Look(mappings=[mapping({0: ("DOWN", RED), 1: ("up", GREEN)})], no_value="none known"),
    )


def failing() -> Json:
    """How many accounts are not read."""
    return stat(
        "Accounts failing",
        "Accounts whose latest poll failed. No figure: no account has been polled, or the exporter is down.",
        [Query(f"count({UP} == 0) or 0 * count({UP})")],
        Look(steps=[(GREEN, None), (RED, 1)], no_value="none polled"),
    )


def oldest() -> Json:
    """The age of the worst account."""
    return stat(
        "Oldest figures",
        "In poll intervals: at most 1 and a little while all is well. From stale_after on, 3 by default, balances are "
        "not shown any more.",
        [Query(f"max({AGE_IN_INTERVALS})")],
        Look(decimals=1, minimum=0, steps=OLD, no_value="none read yet"),
    )


def clock_now() -> Json:
    """The clock."""
    return stat(
        "Clock offset",
        "The exchange's clock minus that of the exporter's machine. It refuses requests from a second ahead.",
        [Query("bybit_api_clock_offset_seconds", "{{instance}}")],
        Look(unit="s", steps=OFF, no_value="no answer yet"),
        text="value",
    )


def configuration() -> Json:
    """Whether the last reload was taken."""
    return stat(
        "Configuration",
        "Whether the configuration was taken when it was last read. If it was refused, the one before is in force.",
        [Query("bybit_exporter_config_last_reload_successful", "{{instance}}")],
        Look(mappings=[mapping({0: ("REFUSED", RED), 1: ("taken", GREEN)})], no_value="no exporter"),
        text="value",
    )


def version() -> Json:
    """What runs."""
    return stat(
        "Version",
        "What is running, by version, revision and Python.",
        [Query("bybit_exporter_build_info", "{{version}} · {{revision}} · Python {{python_version}}")],
        Look(steps=[(GREY, None)], no_value="no exporter"),
        text="name",
    )


def accounts() -> Json:
    """A row for each account."""
    seconds = {"unit": "s", "decimals": 1}
    colored: Json = {"custom.cellOptions": {"type": "color-background"}}
    return table(
        "Accounts",
        "The latest poll of each account. “Next poll in” is longer than the interval while the exporter waits because "
        "the exchange has refused it. “Reason” is the commonest of the last 15 minutes.",
        [
            Column("Latest poll", UP, colored | {"mappings": [READING], "noValue": "none yet"}),
            Column("Interval", of_account("bybit_poll_interval_seconds"), seconds),
            Column("Took", of_account("bybit_poll_duration_seconds"), seconds | {"decimals": 3}),
            Column("Figures' age", AGE, seconds | {"noValue": "never read"}),
            Column("Next poll in", TO_NEXT_POLL, seconds),
            Column("Failures, 15 min", f"round({REASON_OF_FAILURE})", {"noValue": "0"}),
        ],
        {"account": "Account", "account_type": "Wallet", "reason": "Reason"},
        Look(no_value=NO_POLLS),
        {"account": account_link(BALANCES_UID, "Balances of ${__value.raw}")},
    )


def polls_over_time() -> Json:
    """A lane for each account."""
    return state_timeline(
        "Latest poll",
        "Whether the latest poll of each account succeeded. A gap: the exporter did not answer.",
        [Query(UP, "{{account}}")],
        Look(mappings=[READING], steps=[(GREY, None)], no_value=NO_POLLS),
    )


def failures() -> Json:
    """Why polls fail."""
    return timeseries(
        "Failed polls by reason",
        "What each reason means and what to do about it is in the README, under Troubleshooting.",
        [
            Query(
                f"sum by (reason) (increase(bybit_poll_failures_total{{{WALLET}}}[$__rate_interval])) > 0",
                "{{reason}}",
            )
        ],
        Look(decimals=0, minimum=0, no_value="No poll failed in this time."),
        style=BARS,
    )


def age() -> Json:
    """How old the figures are."""
    return timeseries(
        "Age of the figures, in poll intervals",
        "At most 1 and a little while all is well. From stale_after on, 3 by default, balances are not shown any more.",
        [Query(AGE_IN_INTERVALS, "{{account}}")],
        Look(decimals=1, minimum=0, steps=OLD, no_value="No account has been read."),
        style={"lineInterpolation": "linear"},
    )


def durations() -> Json:
    """How long polls take."""
    return timeseries(
        "Duration of polls",
        "From the request to the validated answer, with a retry if there was one.",
        [Query(of_account("bybit_poll_duration_seconds"), "{{account}}")],
        Look(unit="s", minimum=0, no_value=NO_POLLS),
    )


def rate() -> Json:
    """How often accounts are asked."""
    polls = f"60 * sum by ({BY_ACCOUNT}) (rate(bybit_polls_total{{{WALLET}}}[$__rate_interval]))"
    return timeseries(
        "Polls per minute",
        "Fewer than the interval says: the exporter waits because the exchange has refused it.",
        [Query(polls, "{{account}}")],
        Look(minimum=0, no_value=NO_POLLS),
    )


def headroom() -> Json:
    """What is left of the limits."""
    return timeseries(
        "Rate limit left",
        "The part of the exchange's limit that was left after the latest answer, by account and endpoint. Other "
        "programs with the same UID use it up too.",
        [Query(HEADROOM, "{{account}} {{endpoint}}")],
        Look(unit="percentunit", minimum=0, steps=LITTLE_LEFT, no_value="The exchange has stated no limit yet."),
    )


def waits() -> Json:
    """When accounts are asked next."""
    return timeseries(
        "Time to the next poll",
        "Longer than the interval while a refusal is waited out: up to 5 minutes, or 10 for a blocked address.",
        [Query(f"clamp_min({TO_NEXT_POLL}, 0)", "{{account}}")],
        Look(unit="s", minimum=0, no_value=NO_POLLS),
        style={"lineInterpolation": "linear"},
    )


def clock_over_time() -> Json:
    """How the clock drifts."""
    return timeseries(
        "Clock offset",
        "The exchange's clock minus that of the exporter's machine. It refuses requests from a second ahead of it; the "
        "exporter allows for the offset, other programs may not.",
        [Query("bybit_api_clock_offset_seconds", "{{instance}}")],
        Look(unit="s", steps=OFF, no_value="The exchange has not answered in this time."),
    )


def process(title: str, description: str, expr: str, unit: str) -> Json:
    """A resource of the process."""
    return timeseries(
        title,
        description,
        [Query(of_exporter(expr), "{{instance}}")],
        Look(unit=unit, minimum=0, no_value="No exporter."),
    )


def since() -> Json:
    """When the exporter began."""
    reloaded = "bybit_exporter_config_last_reload_success_timestamp_seconds"
    return stat(
        "Running and configured since",
        "When the process was started, and when it last took a configuration.",
        [
            Query(f"1000 * {of_exporter('process_start_time_seconds')}", "{{instance}} started"),
            Query(f"1000 * {reloaded}", "{{instance}} configured"),
        ],
        Look(unit="dateTimeFromNow", steps=[(GREY, None)], no_value="no exporter"),
        text="value_and_name",
    )


TILES = (exporters, readings.shards, failing, oldest, readings.prices, clock_now, configuration, version)

OPERATIONS = dashboard(
    OPERATIONS_UID,
    "Bybit exporter",
    "How bybit-exporter reads its accounts: polls, failures and their reasons, keys, limits, the clock, the process.",
    [
        Shelf(4, [(3, panel()) for panel in TILES]),
        Shelf(8, [(16, accounts()), (8, alerts())]),
        heading("Polls"),
        Shelf(8, [(12, polls_over_time()), (12, failures())]),
        Shelf(8, [(8, age()), (8, durations()), (8, rate())]),
        heading("Keys and other readings"),
        *readings.SHELVES,
        heading("Exchange"),
        Shelf(8, [(8, headroom()), (8, waits()), (8, clock_over_time())]),
        heading("Process"),
        Shelf(
            7,
            [
                (6, process("Memory", "Resident memory.", "process_resident_memory_bytes", "bytes")),
                (6, process("CPU", "In cores.", "rate(process_cpu_seconds_total[$__rate_interval])", "none")),
                (
                    6,
                    process(
                        "File descriptors",
                        "The open ones, as a part of those that the process may have.",
                        "process_open_fds / process_max_fds",
                        "percentunit",
                    ),
                ),
                (6, since()),
            ],
        ),
    ],
    ACCOUNT_VARIABLES,
    ANNOTATIONS,
    [link_to(BALANCES_UID, "Bybit balances", "What the accounts hold")],
    hours=6,
)
