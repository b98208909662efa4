"""A real Prometheus scrapes the running exporter: what its users will see is what its query API says."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import requests

from bybit_exporter.sandbox import UNLIMITED, Account, Exchange, Holding, Refusal, SandboxServer
from tests.exporter_process import ExporterProcess, config_for
from tests.support import eventually, require_real

WALLET = '{account="main",account_type="SPOT"'


class Prometheus:
    """A Prometheus that scrapes one target every second."""

    def __init__(self, target: str, directory: Path) -> None:
        program = shutil.which("prometheus")
        require_real(program is not None, "prometheus (Debian)")
        self.config = directory / "prometheus.yml"
        self.config.write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
            "scrape_configs:\n"
            f"- {{job_name: bybit, static_configs: [{{targets: ['{target}']}}]}}\n"
        )
        self._log = directory / "prometheus.log"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._command = [
            str(program),
            f"--config.file={self.config}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The instant vector: labels and values. Empty also while Prometheus is not up yet."""
        assert self._process.poll() is None, self._log.read_text()
        try:
            answer = requests.get(f"{self.url}/api/v1/query", {"query": expression}, timeout=10)
        except requests.ConnectionError:
            return []
        if answer.status_code == 503:
            return []
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return [(sample["metric"], float(sample["value"][1])) for sample in result]

    def value(self, expression: str) -> float | None:
        found = self.query(expression)
        assert len(found) <= 1
        return found[0][1] if found else None

    def wait_for(self, expected: float | None, expression: str) -> None:
        eventually(lambda: self.value(expression) == expected, 30)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def main() -> Account:
    holdings = {"ETH": Holding("11.53485"), "BTC": Holding("1e-8", "0.25", "3")}
    return Exchange(limits=UNLIMITED).add_account("main", holdings)


@pytest.fixture
def exporter(main: Account, tmp_path: Path) -> Iterator[ExporterProcess]:
    with SandboxServer(main.exchange) as server:
        config = config_for(main.exchange, server.base_url, "poll_interval: 1s\nstale_after: 4s")
        with ExporterProcess(config, tmp_path) as running:
            running.wait_for(1, "bybit_up")
            yield running


@pytest.fixture
def prometheus(exporter: ExporterProcess, tmp_path: Path) -> Iterator[Prometheus]:
    with Prometheus(exporter.base_url.removeprefix("http://"), tmp_path) as running:
        running.wait_for(1, "up")
        yield running


def test_prometheus_has_the_exchange_s_figures_and_nothing_that_is_gone(main: Account, prometheus: Prometheus) -> None:
    prometheus.wait_for(11.53485, f'bybit_asset_free{WALLET},coin="ETH"}}')
    assert prometheus.value(f'bybit_asset_frozen{WALLET},coin="ETH"}}') == 0
    assert prometheus.value(f'bybit_asset_withdrawing{WALLET},coin="ETH"}}') == 0
    assert prometheus.value(f'bybit_asset_free{WALLET},coin="BTC"}}') == 1e-8
    assert prometheus.value(f'bybit_account_status{WALLET},status="normal"}}') == 1
    assert prometheus.value("bybit_up") == 1
    assert len(prometheus.query("bybit_poll_failures_total == 0")) == 14
    assert prometheus.value("time() - bybit_last_success_timestamp_seconds < bool 30") == 1

    main.update({"ETH": None})  # a coin that the exchange stops listing
    prometheus.wait_for(None, 'bybit_asset_free{coin="ETH"}')
    assert prometheus.value('bybit_asset_free{coin="BTC"}') == 1e-8
    assert prometheus.value('max_over_time(bybit_asset_free{coin="ETH"}[5m])') == 11.53485

    main.refusal = Refusal(10027)  # a ban that ends all answers: it outlives the figures
    prometheus.wait_for(1, 'bybit_account_status{status="banned"}')
    prometheus.wait_for(None, 'bybit_asset_free{coin="BTC"}')
    assert prometheus.value('bybit_account_status{status="banned"}') == 1
    assert prometheus.value("bybit_up") == 0
    eventually(lambda: prometheus.query('increase(bybit_poll_failures_total{reason="banned"}[1m]) > 0'), 30)

    assert prometheus.value("min_over_time(up[5m])") == 1, "a scrape has failed"


def test_promtool_has_nothing_to_say(main: Account, exporter: ExporterProcess) -> None:
    promtool = shutil.which("promtool")
    require_real(promtool is not None, "prometheus (Debian)")

    def assert_silent() -> None:
        exposition = exporter.exposition()
        check = [str(promtool), "check", "metrics"]
        checked = subprocess.run(check, input=exposition, capture_output=True, text=True, timeout=30)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")

    assert_silent()
    main.refusal = Refusal(10003)
    exporter.wait_for(None, "bybit_asset_free", coin="ETH")
    assert_silent()
