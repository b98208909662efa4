"""Runs the two programs as processes, and measures start, scrapes, CPU and memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

from tests.support import free_port

from .exchange import ACCOUNT, API_KEY, API_SECRET, HOLDINGS

ROOT = Path(__file__).parent.parent
POLL_SECONDS = 1
DEADLINE_SECONDS = 60.0
SCRAPES_A_TURN = 25
CONFIG = "config.yaml"

ACCEPT = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""Prometheus 3's."""

FIGURES = [f'bybit_asset_free{{account="{ACCOUNT}",account_type="SPOT",coin="{coin}"}}' for coin in HOLDINGS]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a program finds the exchange, where it listens, and a directory for its files."""

    exchange_url: str
    port: int
    directory: Path


@dataclass(frozen=True, slots=True)
class Program:
    """A program: its name in the table, and the command line and environment that start it."""

    name: str
    start: Callable[[Place], tuple[list[str], Mapping[str, str]]]


def exporter(interval: float, accounts: Iterable[tuple[str, str, str]], coins: Iterable[str]) -> Program:
    """The exporter with accounts (name, key, secret), each asked for these coins at this interval."""
    listed = "".join(
        f"  - {{name: {name}, account_type: SPOT, coins: [{', '.join(coins)}], api_key: {key}, api_secret: {secret}}}\n"
        for name, key, secret in accounts
    )

    def start(place: Place) -> tuple[list[str], Mapping[str, str]]:
        config = place.directory / CONFIG
        config.write_text(
            f"poll_interval: {interval:g}s\napi: {{base_url: '{place.exchange_url}'}}\naccounts:\n{listed}"
        )
        config.chmod(0o600)
        flags = [f"--config.file={config}", f"--web.listen-address=127.0.0.1:{place.port}"]
        return [str(ROOT / "exporter.py"), *flags], {}

    return Program("exporter", start)


def _thirty_lines(place: Place) -> tuple[list[str], Mapping[str, str]]:
    return [str(Path(__file__).with_name("thirty_lines.py"))], {
        "BYBIT_URL": place.exchange_url,
        "BYBIT_API_KEY": API_KEY,
        "BYBIT_API_SECRET": API_SECRET,
        "COINS": ",".join(HOLDINGS),
        "POLL_SECONDS": str(POLL_SECONDS),
        "PORT": str(place.port),
    }


EXPORTER = exporter(POLL_SECONDS, [(ACCOUNT, API_KEY, API_SECRET)], HOLDINGS)
THIRTY_LINES = Program("thirty lines", _thirty_lines)


class Running:
    """A running program. Compiled modules are kept in the directory, so that only the first start compiles them."""

    def __init__(self, program: Program, exchange_url: str, directory: Path) -> None:
        self._port = free_port()
        arguments, environ = program.start(Place(exchange_url, self._port, directory))
        environ = {**os.environ, "MALLOC_ARENA_MAX": "1", "PYTHONPYCACHEPREFIX": str(directory / "compiled"), **environ}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        self._log = (directory / "log").open("w")
        self._started = time.perf_counter()
        self._process = subprocess.Popen([sys.executable, *arguments], env=environ, stderr=self._log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    @property
    def age_seconds(self) -> float:
        """Seconds since the process was started."""
        return time.perf_counter() - self._started

    def seconds_to_first_figures(self) -> float:
        """Waits until ``/metrics`` shows every coin. Returns the seconds since the start of the process."""
        return self._seconds_until(self._shows_figures)

    def seconds_to_ready(self) -> float:
        """Waits until every account has been polled. Returns the seconds since the start of the process."""
        return self._seconds_until(self._is_ready)

    def _seconds_until(self, condition: Callable[[], bool]) -> float:
        while not condition():
            if self._process.poll() is not None or self.age_seconds > DEADLINE_SECONDS:
                raise RuntimeError(f"not in time; the program's log:\n{Path(self._log.name).read_text()}")
            time.sleep(0.002)
        return self.age_seconds

    def _is_ready(self) -> bool:
        with closing(self.connection()) as connection:
            try:
                connection.request("GET", "/-/ready")
                return connection.getresponse().status == 200
            except OSError:
                return False

    def _shows_figures(self) -> bool:
        with closing(self.connection()) as connection:
            try:
                connection.request("GET", "/metrics")
                exposition = connection.getresponse().read().decode()
            except OSError:
                return False
        return all(figure in exposition for figure in FIGURES)

    def seconds_to_scrape(self) -> float:
        """The median of some scrapes, all on one connection."""
        with closing(self.connection()) as connection:
            return statistics.median(seconds_of(lambda: _scrape(connection)) for _ in range(SCRAPES_A_TURN))

    def seconds_to_connect_and_scrape(self) -> float:
        """The median of some scrapes, each on a connection of its own."""

        def scrape() -> None:
            with closing(self.connection()) as connection:
                _scrape(connection)

        return statistics.median(seconds_of(scrape) for _ in range(SCRAPES_A_TURN))

    def connection(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE_SECONDS)

    def cpu_seconds(self) -> float:
        """CPU seconds of the process, in its own code and in the kernel."""
        return time.clock_gettime(~self._process.pid << 3 | 2)  # clock_getcpuclockid(3), which Python does not have

    def memory_bytes(self) -> Mapping[str, int]:
        """``Rss`` and ``Pss`` as Linux accounts for them."""
        rollup = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text()
        fields = (line.split() for line in rollup.splitlines()[1:])
        return {name.rstrip(":"): int(kilobytes) * 1024 for name, kilobytes, *_ in fields}


def _scrape(connection: HTTPConnection) -> None:
    """Scrapes as Prometheus does, to the last byte. Opens the connection again if the server has closed it."""
    connection.request("GET", "/metrics", headers={"Accept": ACCEPT, "Accept-Encoding": "gzip"})
    response = connection.getresponse()
    if response.status != 200 or not response.read():
        raise RuntimeError(f"scraped with status {response.status}")


def seconds_of(action: Callable[[], object]) -> float:
    """How long an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
