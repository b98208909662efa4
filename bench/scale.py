"""Measures one process with 1 to 1,000 accounts of 20 coins each: `python -m bench scale`.

The exporter and the exchange are separate processes. A scrape is an HTTP request on a kept connection, until its last
byte is read, while the accounts are polled: 50 a second, or each once a second if they are fewer. It is compared with
the client library's rendering of the same series, in this process and without HTTP: `generate_latest`, and for gzip
also `gzip.compress`, as that library's own server does. The CPU for a poll is the CPU time of the process without
scrapes, divided by the number of polls. Memory is the resident memory at the end, with `MALLOC_ARENA_MAX=1`, as in the
image and the systemd unit.
"""

from __future__ import annotations

import gzip
import platform
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPResponse
from os import cpu_count
from pathlib import Path

from prometheus_client.exposition import generate_latest

from bybit_exporter import config

from .exchange import COINS, credentials, running_exchange
from .programs import CONFIG, Running, exporter, seconds_of
from .rendering import check_same_series, registry_of
from .side_by_side import scrape_ratios

SIZES = (1, 10, 100, 1000)
POLLS_A_SECOND = 50
STRETCHES, WATCHED_SECONDS = 3, 12.0
"""Polls are watched for at least this time, and for one interval in each stretch."""
SLACK_SECONDS = 1.0
SCRAPES, PAUSE_SECONDS = 500, 0.01
READ_BYTES = 1 << 20
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Scrapes:
    """The duration of each scrape, and of the client library's rendering of the same series."""

    seconds: list[float]
    library: float

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.seconds, n=100)[-1]

    @property
    def faster(self) -> float:
        """The duration of the client library, divided by ours."""
        return self.library / self.median

    @property
    def spread(self) -> float:
        return self.p99 / self.median

    def __str__(self) -> str:
        return f"{self.median * 1e3:.2f} ms | {_figure(self.faster)} times | {self.p99 * 1e3:.2f} ms"


@dataclass(frozen=True, slots=True)
class Scale:
    """The figures that were measured with this number of accounts."""

    accounts: int
    read_seconds: float
    """The time to read the configuration."""
    ready_seconds: float
    poll_seconds: float
    missed: int
    """Accounts that had fewer polls than intervals."""
    plain: Scrapes
    compressed: Scrapes
    memory_bytes: int

    def __str__(self) -> str:
        cells = f"{self.poll_seconds * 1e3:.2f} ms | {self.memory_bytes / 1e6:.0f} MB | {self.ready_seconds:.1f} s"
        return f"| {self.accounts:,} | {self.plain} | {self.compressed} | {cells} | {self.accounts - self.missed:,} |"


HEADER = """
| accounts | scrape | faster | p99 | gzip | faster | p99 | CPU for a poll | memory | ready after | polled in time |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def measure(accounts: int, directory: Path) -> Scale:
    """Starts everything, measures one thing after the other, and ends everything."""
    interval = max(1.0, accounts / POLLS_A_SECOND)
    program = exporter(interval, [credentials(index) for index in range(accounts)], COINS)
    with (
        running_exchange(accounts) as url,
        Running(program, url, directory) as running,
        closing(running.connection()) as connection,
    ):
        ready_seconds = running.seconds_to_ready()
        poll_seconds, missed = _watch_polls(running, connection, interval)
        plain, compressed = _library_seconds(_scrape(connection))
        return Scale(
            accounts,
            _median_seconds(lambda: config.load(directory / CONFIG)),
            ready_seconds,
            poll_seconds,
            missed,
            Scrapes(list(_scrape_seconds(connection, "identity")), plain),
            Scrapes(list(_scrape_seconds(connection, "gzip")), compressed),
            running.memory_bytes()["Rss"],
        )


def _watch_polls(running: Running, connection: HTTPConnection, interval: float) -> tuple[float, int]:
    """CPU seconds for a poll without scrapes, and how many accounts were not polled once in each interval.

    The CPU time is the lowest of several stretches, since other load on the machine can only increase it.
    """
    intervals = max(STRETCHES, round(WATCHED_SECONDS / interval))
    first = _polls(connection)
    time.sleep(SLACK_SECONDS)
    seconds = [poll_seconds(running, connection, interval * intervals / STRETCHES) for _ in range(STRETCHES)]
    polls = _polls(connection)
    polls.subtract(first)
    return min(seconds), sum(count < intervals for count in polls.values())


def poll_seconds(running: Running, connection: HTTPConnection, stretch: float) -> float:
    """CPU seconds of the process for each poll, during some seconds without scrapes."""
    before, cpu_before = _polls(connection).total(), running.cpu_seconds()
    time.sleep(stretch)
    cpu = running.cpu_seconds() - cpu_before
    return cpu / (_polls(connection).total() - before)


def _polls(connection: HTTPConnection) -> Counter[bytes]:
    samples = re.findall(rb'^bybit_polls_total\{account="([^"]+)".* (\S+)$', _scrape(connection), re.MULTILINE)
    return Counter({account: int(float(value)) for account, value in samples})


def _scrape_seconds(connection: HTTPConnection, encoding: str) -> Iterator[float]:
    buffer = bytearray(READ_BYTES)  # one buffer for all, since allocating memory takes longer than reading
    for _ in range(SCRAPES):
        time.sleep(PAUSE_SECONDS)
        started = time.perf_counter()
        response = _ask(connection, encoding)
        while response.readinto(buffer):
            pass
        yield time.perf_counter() - started


def _scrape(connection: HTTPConnection) -> bytes:
    return _ask(connection, "identity").read()


def _ask(connection: HTTPConnection, encoding: str) -> HTTPResponse:
    connection.request("GET", "/metrics", headers={"Accept-Encoding": encoding})
    response = connection.getresponse()
    if response.status != 200 or response.headers.get("Content-Encoding", "identity") != encoding:
        raise RuntimeError(f"scraped with status {response.status}")
    return response


def _library_seconds(exposition: bytes) -> tuple[float, float]:
    """Seconds of the client library for these series, plain and compressed."""
    registry = registry_of(exposition.decode())
    check_same_series(exposition, generate_latest(registry))
    return (
        _median_seconds(lambda: generate_latest(registry)),
        _median_seconds(lambda: gzip.compress(generate_latest(registry))),
    )


def _median_seconds(action: Callable[[], object]) -> float:
    return statistics.median(seconds_of(action) for _ in range(ROUNDS))


def _verdicts(most: Scale, kept_alive: float, new: float) -> Iterator[str]:
    """The lines of the table of goals, for the largest size."""
    worst = max(most.plain.spread, most.compressed.spread)
    yield _at_least(
        "plain scrape, against `generate_latest` on the same series", most.plain.faster, 60, "times as fast"
    )
    yield _at_least("gzip scrape, against the same plus `gzip.compress`", most.compressed.faster, 40, "times as fast")
    yield _at_most("p99 of the scrapes while polls run at 50/s, over their median", worst, 2, "times")
    yield _at_most("CPU for a poll, everything included", most.poll_seconds * 1e3, 1.5, "ms")
    yield _at_most("memory", most.memory_bytes / 1e6, 80, "MB")
    yield _at_most("accounts not polled in each of their intervals", most.missed, 0, "")
    yield _at_most("reading the configuration", most.read_seconds, 0.3, "s")
    yield _at_most(
        "one account, four coins: scrape, against the client library's own server", max(kept_alive, new), 1, "times"
    )


def _at_least(what: str, value: float, least: float, unit: str) -> str:
    return _verdict(what, value, f"at least {least:g} {unit}", unit, value >= least)


def _at_most(what: str, value: float, most: float, unit: str) -> str:
    return _verdict(what, value, f"at most {most:g} {unit}", unit, value <= most)


def _verdict(what: str, value: float, aim: str, unit: str, is_met: bool) -> str:
    return f"| {what} | {aim.strip()} | {_figure(value)} {unit}".rstrip() + f" | {'met' if is_met else 'MISSED'} |"


def _figure(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _machine() -> str:
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = processor[1] if processor else platform.machine()
    return f"{datetime.now(UTC):%d %B %Y}, {cpu_count()} cores ({name}), Python {platform.python_version()}"


def _warm_up(directory: Path) -> None:
    """Compiles the modules, so that the first measurement does not include it."""
    with running_exchange(1) as url, Running(exporter(1, [credentials(0)], COINS), url, directory) as running:
        running.seconds_to_ready()


def main() -> None:
    """Takes about four minutes. Prints the tables of docs/performance.md."""
    print(f"Measured with `python -m bench scale` on {_machine()}.", HEADER, sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        _warm_up(Path(name))
        for accounts in SIZES:
            scale = measure(accounts, Path(name))
            print(scale, flush=True)
    print(f"\n| {SIZES[-1]:,} accounts of {len(COINS)} coins | aim | measured | |\n| --- | --- | --- | --- |")
    print(*_verdicts(scale, *scrape_ratios()), sep="\n")
