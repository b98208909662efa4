"""A real Prometheus scrapes the running exporter: what its users will see is what its query API says."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bybit_exporter.sandbox import UNLIMITED, Account, Exchange, Holding, Refusal, SandboxServer
from tests.exporter_process import ExporterProcess, config_for
from tests.real_prometheus import SCRAPE, Prometheus
from tests.support import require_real

WALLET = '{account="main",account_type="SPOT"'


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
    with Prometheus(SCRAPE.format(target=exporter.base_url.removeprefix("http://")), tmp_path) as running:
        running.wait_for(1, "up")
        yield running


def test_prometheus_has_the_exchange_s_figures_and_nothing_that_is_gone(main: Account, prometheus: Prometheus) -> None:
    prometheus.wait_for(11.53485, f'bybit_asset_free{WALLET},coin="ETH"}}')
    assert prometheus.query(f'bybit_asset_frozen{WALLET},coin="ETH"}}') == 0
    assert prometheus.query(f'bybit_asset_withdrawing{WALLET},coin="ETH"}}') == 0
    assert prometheus.query(f'bybit_asset_free{WALLET},coin="BTC"}}') == 1e-8
    assert prometheus.query(f'bybit_account_status{WALLET},status="normal"}}') == 1
    assert prometheus.query("bybit_up") == 1
    assert prometheus.query("count(bybit_poll_failures_total == 0)") == 14
    assert prometheus.query("time() - bybit_last_success_timestamp_seconds < bool 30") == 1

    main.update({"ETH": None})  # a coin that the exchange stops listing
    prometheus.wait_for(None, 'bybit_asset_free{coin="ETH"}')
    assert prometheus.query('bybit_asset_free{coin="BTC"}') == 1e-8
    assert prometheus.query('max_over_time(bybit_asset_free{coin="ETH"}[5m])') == 11.53485

    main.refusal = Refusal(10027)  # a ban that ends all answers: it outlives the figures
    prometheus.wait_for(1, 'bybit_account_status{status="banned"}')
    prometheus.wait_for(None, 'bybit_asset_free{coin="BTC"}')
    assert prometheus.query('bybit_account_status{status="banned"}') == 1
    assert prometheus.query("bybit_up") == 0
    prometheus.wait_for(1, 'count(increase(bybit_poll_failures_total{reason="banned"}[1m]) > 0)')

    assert prometheus.query("min_over_time(up[5m])") == 1, "a scrape has failed"


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
