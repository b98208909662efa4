"""Runs a Prometheus that has an hour of an exporter's metrics in memory after a few minutes.

Prometheus accepts samples with timestamps. So one scrape can contain several minutes of the past, and the samples are
stored where those of real scrapes are: in the part of the storage that rules read.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from bybit_exporter.model import FailureReason
from tests.support import free_port

COINS = [f"COIN{number}" for number in range(20)]
ACCOUNT_TYPES = ("SPOT", "UNIFIED", "FUND")
STEP_SECONDS = 15
STEPS_PER_SCRAPE = 8
SCRAPE_SECONDS = 10
DEADLINE_SECONDS = 1800.0
OLDEST_SECONDS = 3500
"""Prometheus refuses samples that are more than an hour older than its latest one."""

Series = tuple[str, float, float]
"""Name and labels as in an exposition, the value, and the variation of the value as a share of it."""


def series_of(accounts: int, now: float) -> list[Series]:
    """The series of an exporter with this number of healthy accounts of 20 coins, and those that rules recorded of it.

    An empty ``instance`` stands for none, since recorded series have none.
    """
    chance = random.Random(1)  # noqa: S311, figures for a measurement
    found: list[Series] = [
        ("bybit_prices_up", 1, 0),
        ('bybit_exporter_build_info{version="1"}', 1, 0),
        ('bybit_exporter_shard_info{shard="0",total_shards="1"}', 1, 0),
        ("bybit_exporter_config_last_reload_successful", 1, 0),
        ("bybit_api_clock_offset_seconds", 0.02, 0.1),
    ]
    found += [(f'bybit_coin_price_usd{{coin="{coin}"}}', chance.uniform(0.1, 5000), 0.001) for coin in COINS]
    for number in range(accounts):
        account = f'account="account-{number:04}"'
        typed = f'{account},account_type="{ACCOUNT_TYPES[number % 3]}"'
        for coin in COINS:
            of_coin = f'{{{typed},coin="{coin}"}}'
            found.append((f"bybit_asset_free{of_coin}", chance.uniform(1, 1000), 0.0001))
            found.append((f"bybit_asset_frozen{of_coin}", chance.uniform(0, 10), 0.0001))
            found.append((f"bybit_asset_withdrawing{of_coin}", 0, 0))
        for status in ("normal", "banned", "unknown"):
            found.append((f'bybit_account_status{{{typed},status="{status}"}}', status == "normal", 0))
        found += [(f'bybit_poll_failures_total{{{typed},reason="{reason}"}}', 0, 0) for reason in FailureReason]
        found += [
            (f"bybit_up{{{typed}}}", 1, 0),
            (f'bybit:account_up{{{typed},instance=""}}', 1, 0),
            (f'bybit:account_configured{{{account},instance=""}}', 1, 0),
            (f"bybit_polls_total{{{typed}}}", 1000, 0),
            (f"bybit_last_success_timestamp_seconds{{{typed}}}", now, 0),
            (f"bybit_next_poll_timestamp_seconds{{{typed}}}", now + 86400, 0),
            (f"bybit_api_key_up{{{account}}}", 1, 0),
            (f"bybit_api_key_read_only{{{account}}}", 1, 0),
            (f'bybit_api_rate_limit_requests{{{account},endpoint="/v5/x"}}', 60, 0),
            (f'bybit_api_rate_limit_remaining_requests{{{account},endpoint="/v5/x"}}', 50, 0.1),
        ]
    return found


def exposition(series: Sequence[Series], times: Sequence[int]) -> bytes:
    """The series at these times, oldest first."""
    stamps = [(1 + at * 7919 % 101 / 101, f" {at * 1000}\n") for at in times]
    lines = []
    for name, value, variation in series:
        for varied, stamp in stamps:
            lines.append(f"{name} {value * (1 + variation * varied):.8g}{stamp}")
    return "".join(lines).encode()


class _Past:
    """The expositions of an exporter every 15 seconds in the past. Each scrape gets the next ones."""

    def __init__(self, series: Sequence[Series], first: int) -> None:
        self._series, self._first, self._next = series, first, first
        self._lock = threading.Lock()

    def scrape(self, send: Callable[[bytes], object]) -> None:
        """Sends the next steps. If that fails, the next scrape gets the same steps again."""
        with self._lock:
            times = list(range(self._next, int(time.time()) + 1, STEP_SECONDS))[:STEPS_PER_SCRAPE]
            send(exposition(self._series, times))
            self._next += len(times) * STEP_SECONDS

    def is_complete(self, seconds: float) -> bool:
        """Whether everything up to now was scraped, and covers at least these seconds."""
        with self._lock:
            return self._next > time.time() - STEP_SECONDS and time.time() > self._first + seconds


class Prometheus:
    """A running Prometheus."""

    def __init__(self, address: str, configuration: Path) -> None:
        self._url = f"http://{address}"
        self._configuration = configuration

    def get(self, path: str, **parameters: Any) -> Any:
        """Sends a request to the HTTP API. Returns the data of the answer."""
        answer = requests.get(f"{self._url}/api/v1/{path}", params=parameters, timeout=120).json()
        if answer["status"] != "success":
            raise RuntimeError(f"{path}: {answer}")
        return answer["data"]

    def load_rules(self, *files: Path) -> None:
        """Evaluates the rules of these files from now on."""
        named = "".join(f"  - {file.resolve()}\n" for file in files)
        self._configuration.write_text(f"{self._configuration.read_text()}rule_files:\n{named}")
        requests.post(f"{self._url}/-/reload", timeout=120).raise_for_status()

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self._url}/-/ready", timeout=10).ok
        except requests.ConnectionError:
            return False


@contextmanager
def prometheus_with_history(directory: Path, series: Sequence[Series], seconds: int) -> Iterator[Prometheus]:
    """Yields when Prometheus has the samples of the last ``seconds``. New ones follow."""
    past = _Past(series, int(time.time()) - min(seconds, OLDEST_SECONDS))
    with _served(past) as target:
        configuration = directory / "prometheus.yml"
        configuration.write_text(
            f"global: {{scrape_interval: {SCRAPE_SECONDS}s, scrape_timeout: {SCRAPE_SECONDS}s, "
            f"evaluation_interval: {STEP_SECONDS}s}}\n"
            f"scrape_configs: [{{job_name: bybit, honor_labels: true, static_configs: [{{targets: ['{target}']}}]}}]\n"
        )
        address = f"127.0.0.1:{free_port()}"
        command = ["prometheus", f"--config.file={configuration}", "--web.enable-lifecycle"]
        command += [f"--storage.tsdb.path={directory}/data", f"--web.listen-address={address}"]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            prometheus = Prometheus(address, configuration)
            _wait_for(prometheus.is_ready, process)
            _wait_for(lambda: past.is_complete(seconds), process)
            yield prometheus
        finally:
            process.kill()
            process.wait()


@contextmanager
def _served(past: _Past) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):  # Prometheus has closed the connection after its timeout
                past.scrape(self._send)

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("Prometheus has ended, or has not taken the past in time")
        time.sleep(0.2)
