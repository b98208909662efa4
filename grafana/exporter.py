"""The dashboard for operators: whether the exporter reads everything it should, and if not, why."""

from __future__ import annotations

from . import exchange, polls, readings
from .common import BALANCES_UID, EXPORTER_UID, alerts, status_annotations, variables
from .layout import Row, dashboard, link_to, section
from .panels import GREEN, GREY, RED, Display, Json, Query, mapping, stat, timeseries
from .queries import Queries

NO_EXPORTER = "no exporter"


def exporter_dashboard(queries: Queries) -> Json:
    """The whole dashboard."""
    tiles = (exporters, readings.shards, polls.failing, polls.oldest, readings.prices, exchange.clock_now)
    return dashboard(
        EXPORTER_UID,
        "Bybit exporter",
        "How bybit-exporter reads its accounts: polls, failures and their reasons, keys, limits, clock and process.",
        [
            Row(4, [(3, tile(queries)) for tile in (*tiles, configuration, version)]),
            Row(8, [(24, polls.accounts(queries))]),
            Row(5, [(24, alerts(queries))]),
            section("Polls"),
            *polls.rows(queries),
            section("Keys and other readings"),
            *readings.rows(queries),
            section("Exchange"),
            *exchange.rows(queries),
            section("Process"),
            *process_rows(queries),
        ],
        variables(queries),
        status_annotations(queries),
        [link_to(BALANCES_UID, "Bybit balances", "What the accounts hold")],
        hours=6,
    )


def exporters(queries: Queries) -> Json:
    """Whether the exporters can be scraped."""
    up, known = queries.select("up"), queries.select("bybit_exporter_build_info")
    by = queries.by("instance")
    return stat(
        "Exporters",
        "Whether Prometheus reaches each exporter that it has known in the last 24 h.",
        [Query(f"max by ({by}) ({up}) and on ({by}) last_over_time({known}[1d])", "{{instance}}")],
        Display(mappings=[mapping({0: ("DOWN", RED), 1: ("up", GREEN)})], no_value="none known"),
    )


def configuration(queries: Queries) -> Json:
    """Whether the last reload succeeded."""
    reloaded = queries.of_instance("bybit_exporter_config_last_reload_successful")
    return stat(
        "Configuration",
        "Whether the configuration was valid when it was last read. If it was refused, the previous one is still used.",
        [Query(reloaded, "{{instance}}")],
        Display(mappings=[mapping({0: ("REFUSED", RED), 1: ("valid", GREEN)})], no_value=NO_EXPORTER),
        text="value",
    )


def version(queries: Queries) -> Json:
    """The running version."""
    build = queries.select("bybit_exporter_build_info")
    return stat(
        "Version",
        "The running version, its revision, and the version of Python.",
        [
            Query(
                f"group by (version, revision, python_version) ({build})",
                "{{version}} · {{revision}} · Python {{python_version}}",
            )
        ],
        Display(steps=[(GREY, None)], no_value=NO_EXPORTER),
        text="name",
    )


def of_process(queries: Queries, metric: str, range_function: str = "") -> str:
    """A metric of the process, of exporters only: every program that Prometheus scrapes may have it."""
    series = queries.select(metric)
    value = f"{range_function}({series}[$__rate_interval])" if range_function else series
    build, by = queries.select("bybit_exporter_build_info"), queries.by("instance")
    return f"max by ({by}) ({value}) and on ({by}) {build}"


def process_rows(queries: Queries) -> list[Row]:
    """The resources of the process."""
    descriptors = queries.select("process_open_fds") + " / " + queries.select("process_max_fds")
    build, by = queries.select("bybit_exporter_build_info"), queries.by("instance")
    memory = of_process(queries, "process_resident_memory_bytes")
    cpu = of_process(queries, "process_cpu_seconds_total", "rate")
    open_files = f"max by ({by}) ({descriptors}) and on ({by}) {build}"
    return [
        Row(
            7,
            [
                (6, _resource("Memory", "Resident memory.", memory, "bytes")),
                (6, _resource("CPU", "CPU time per second, in cores.", cpu, "none")),
                (
                    6,
                    _resource(
                        "File descriptors", "Share of the permitted ones that is open.", open_files, "percentunit"
                    ),
                ),
                (6, since(queries)),
            ],
        )
    ]


def _resource(title: str, description: str, expr: str, unit: str) -> Json:
    return timeseries(
        title,
        description,
        [Query(expr, "{{instance}}")],
        Display(unit=unit, minimum=0, no_value="No exporter."),
    )


def since(queries: Queries) -> Json:
    """When the exporter started."""
    reloaded = queries.of_instance("bybit_exporter_config_last_reload_success_timestamp_seconds")
    started = of_process(queries, "process_start_time_seconds")
    return stat(
        "Running and configured since",
        "When the process started, and when it last read a valid configuration.",
        [
            Query(f"1000 * ({started})", "{{instance}} started"),
            Query(f"1000 * {reloaded}", "{{instance}} configured"),
        ],
        Display(unit="dateTimeFromNow", steps=[(GREY, None)], no_value=NO_EXPORTER),
        text="value_and_name",
    )
