"""The parts wired, in this process, against the embedded exchange: an exception of our own, and what a log may show."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bybit_exporter.sandbox import UNLIMITED, Exchange, SandboxServer
from tests.exporter_process import ExporterProcess, config_for
from tests.in_process import HOLDINGS, Running
from tests.support import eventually

FAULTY = """
import os
from bybit_exporter.bybit import client

honest = client.sign

def sign(secret, text):
    if os.path.exists(os.environ["FAULTY"]):
        raise RuntimeError("no signature today")
    return honest(secret, text)

client.sign = sign
"""


def test_an_exception_of_our_own_shows_its_traceback_once_and_no_secret(tmp_path: Path) -> None:
    """The function that fails has the secret in its hands."""
    (tmp_path / "sitecustomize.py").write_text(FAULTY)
    switch = tmp_path / "switch"
    exchange = Exchange(limits=UNLIMITED)
    account = exchange.add_account("main", HOLDINGS)
    environ = {"PYTHONPATH": str(tmp_path), "FAULTY": str(switch)}
    with (
        SandboxServer(exchange) as server,
        ExporterProcess(config_for(exchange, server.base_url), tmp_path, ["--log.level=debug"], environ) as exporter,
    ):
        exporter.wait_for(1.0, "bybit_up")
        eventually(lambda: exporter.value("bybit_api_key_up") is not None)  # nothing but polls from here on
        switch.touch()
        exporter.wait_for(1.0, "bybit_poll_failures_total", reason="internal")
        assert exporter.value("bybit_up") == 0
        assert exporter.value("bybit_asset_free", coin="BTC") == 1.5
        exporter.wait_for(3.0, "bybit_poll_failures_total", reason="internal")
        switch.unlink()
        exporter.wait_for(1.0, "bybit_up")
    (begun,) = exporter.events("the account cannot be read")
    assert (begun["reason"], begun["level"]) == ("internal", "error")
    assert "RuntimeError: no signature today" in begun["exception"]
    assert "in sign" in begun["exception"]
    assert exporter.raw_log.count("Traceback") == 1
    for secret in (account.api_key, account.api_secret):
        assert secret not in exporter.raw_log


def test_polling_once_says_whether_all_could_be_read() -> None:
    running = Running("one", "two")
    with running.server:
        assert running.service.poll_once() is True
        running.main.status = "ACCOUNT_STATUS_UNSPECIFIED"
        assert running.service.poll_once() is True, "a banned account can be read"
        running.exchange.rotate_key(running.main)
        assert running.service.poll_once() is False


def test_the_connections_of_an_api_that_is_gone_are_closed() -> None:
    with Running() as running:
        running.wait_for(1.0, "bybit_up")
        for timeout in (1.0, 2.0, 3.0, 4.0):
            api = dataclasses.replace(running.config.api, timeout_seconds=timeout)
            running.config = dataclasses.replace(running.config, api=api)
            running.service.reload()
            polls = running.value("bybit_polls_total") or 0
            eventually(lambda polls=polls: (running.value("bybit_polls_total") or 0) >= polls + 2)  # type: ignore[misc]
        eventually(lambda: running.server.open_connections <= 2)


def test_a_ready_service_has_asked_everybody() -> None:
    with Running("one", "two") as running:
        eventually(lambda: running.service.store.ready)
        assert running.value("bybit_polls_total", account="one") == pytest.approx(1, abs=5)
        assert running.value("bybit_polls_total", account="two")
