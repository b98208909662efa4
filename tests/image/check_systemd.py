"""The shipped unit under a real systemd, process 1 of a container whose files build.sh has left.

Inside, the exporter asks the embedded exchange; there is no other network.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.exporter_process import ROOT, Samples, parse
from tests.support import eventually

MACHINE = ROOT / "build" / "image" / "machine"
DOCUMENT = ROOT / "docs" / "deployment.md"
HOME = MACHINE / "etc" / "bybit-exporter"
PYTHON = "/opt/bybit-exporter/bin/python"
CREDENTIALS = "/run/credentials/bybit-exporter.service"
BOOT_SECONDS = 60.0
SECONDS = 20.0

SCRAPE = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9836/metrics').read().decode())"


class Machine:
    """A booted system, commanded as its root."""

    def __init__(self, init: int) -> None:
        self._enter = ["nsenter", "--all", f"--target={init}"]

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen([*self._enter, *command], stdout=subprocess.PIPE, text=True)

    def run(self, *command: str, expected: int = 0) -> str:
        done = subprocess.run([*self._enter, *command], check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == expected, done.stdout + done.stderr
        return done.stdout.strip()

    def unit(self, name: str) -> str:
        return self.run("systemctl", "show", "--value", f"--property={name}", "bybit-exporter")

    def scrape(self) -> Samples:
        try:
            return parse(self.run(PYTHON, "-c", SCRAPE) + "\n")
        except AssertionError:
            return {}

    def value(self, name: str) -> float | None:
        """Of the first series of that name."""
        return next((value for (series, _), value in self.scrape().items() if series == name), None)

    def begin_log(self) -> None:
        """What was logged before this moment, or in an earlier run on the same files, counts no more."""
        shown = self.run("journalctl", "--no-pager", "--lines=1", "--show-cursor")
        self._log_begins = shown.rpartition("-- cursor: ")[2]

    def log(self) -> str:
        return self.run("journalctl", "--no-pager", "--unit=bybit-exporter", f"--after-cursor={self._log_begins}")


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryFile() as console:
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--boot"]
        nspawn = subprocess.Popen(
            [*command, f"--directory={MACHINE}"], stdin=subprocess.DEVNULL, stdout=console, stderr=console
        )
        init = 0
        try:
            init = eventually_booted(nspawn.pid)
            yield Machine(init)
        finally:
            os.kill(init or nspawn.pid, signal.SIGKILL)
            nspawn.wait(SECONDS)


def eventually_booted(nspawn: int) -> int:
    """The number of the process that is process 1 inside."""
    children = Path(f"/proc/{nspawn}/task/{nspawn}/children")
    inits: list[int] = []

    def booted() -> bool:
        inits[:] = map(int, children.read_text().split())  # first another, which sets the container up
        try:
            return any(Machine(init).run("systemctl", "is-active", "multi-user.target") for init in inits)
        except AssertionError:
            return False

    eventually(booted, BOOT_SECONDS)
    return inits[0]


@pytest.fixture(scope="module")
def account(machine: Machine) -> Iterator[dict[str, Any]]:
    """An account of the embedded exchange, as its configuration has it."""
    exchange = machine.start(PYTHON, "-m", "bybit_exporter.sandbox", "--listen-address=127.0.0.1:19836")
    assert exchange.stdout
    lines: list[str] = []
    while "api_secret" not in "".join(lines):
        lines.append(exchange.stdout.readline())
        assert lines[-1], "the embedded exchange has ended"
    document = yaml.safe_load("".join(lines))
    yield {**document["accounts"][0], "base_url": document["api"]["base_url"]}
    exchange.kill()
    exchange.wait()
    exchange.stdout.close()


@pytest.fixture
def configured(machine: Machine, account: dict[str, Any]) -> Iterator[Machine]:
    """The files are in place, the unit is not running."""
    HOME.mkdir(exist_ok=True)
    for key in ("api_key", "api_secret"):
        (HOME / key).write_text(account[key] + "\n")
        (HOME / key).chmod(0o600)
    config = {
        "poll_interval": "1s",
        "api": {"base_url": account["base_url"]},
        "accounts": [
            {
                "name": "main",
                "account_type": "SPOT",
                "api_key_file": f"{CREDENTIALS}/api_key",
                "api_secret_file": f"{CREDENTIALS}/api_secret",
            }
        ],
    }
    (HOME / "config.yaml").write_text(yaml.safe_dump(config))
    machine.begin_log()
    yield machine
    machine.run("systemctl", "stop", "bybit-exporter")
    if machine.unit("ActiveState") == "failed":
        machine.run("systemctl", "reset-failed", "bybit-exporter")


@pytest.fixture
def running(configured: Machine) -> Machine:
    configured.run("systemctl", "start", "bybit-exporter")
    eventually(lambda: configured.value("bybit_up") == 1, SECONDS)
    return configured


def test_it_runs_as_a_user_of_its_own_that_alone_reads_the_secrets(running: Machine) -> None:
    status = running.run("cat", f"/proc/{running.unit('MainPID')}/status")
    fields = {key: value.split() for key, _, value in (line.partition(":") for line in status.splitlines())}
    uid = int(fields["Uid"][0])
    assert 61184 <= uid <= 65519, "not a dynamic user"
    assert {int(fields[kind][0], 16) for kind in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
    assert running.run("stat", "--format=%u %a", f"{CREDENTIALS}/api_secret") == f"{uid} 400"
    assert stat.S_IMODE((HOME / "api_secret").stat().st_mode) == 0o600
    assert "msg=listening" in running.log()
    assert "level=warn" not in running.log()


def test_the_process_start_time_is_true(running: Machine) -> None:
    started = running.value("process_start_time_seconds")
    assert started is not None
    assert abs(started - (HOME / "config.yaml").stat().st_mtime) < SECONDS


def test_it_reloads(running: Machine) -> None:
    loaded = running.value("bybit_exporter_config_last_reload_success_timestamp_seconds")
    running.run("systemctl", "reload", "bybit-exporter")
    eventually(
        lambda: running.value("bybit_exporter_config_last_reload_success_timestamp_seconds") not in (None, loaded),
        SECONDS,
    )
    (HOME / "config.yaml").write_text("nonsense: 1\n")
    running.run("systemctl", "reload", "bybit-exporter")
    eventually(lambda: running.value("bybit_exporter_config_last_reload_successful") == 0, SECONDS)
    assert running.value("bybit_up") == 1


def test_it_stops_cleanly(running: Machine) -> None:
    running.run("systemctl", "stop", "bybit-exporter")
    assert running.unit("Result") == "success"
    assert running.unit("ExecMainStatus") == "0"


def test_it_comes_back_after_a_crash(running: Machine) -> None:
    before = running.unit("MainPID")
    running.run("systemctl", "kill", "--signal=KILL", "bybit-exporter")
    eventually(lambda: running.unit("MainPID") not in ("0", before), SECONDS)
    eventually(lambda: running.value("bybit_up") == 1, SECONDS)


def test_a_certificate_and_its_key_are_credentials_too(configured: Machine) -> None:
    """With the drop-in of docs/deployment.md."""
    (drop_in,) = (
        text for text in re.findall(r"```ini\n(.*?)```", DOCUMENT.read_text(), re.DOTALL) if "web.yaml" in text
    )
    for name in ("server.crt", "server.key"):
        shutil.copy(ROOT / "tests" / "web_config" / name, HOME)
    (HOME / "web.yaml").write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
    directory = MACHINE / "etc/systemd/system/bybit-exporter.service.d"
    directory.mkdir(exist_ok=True)
    try:
        (directory / "web.conf").write_text(drop_in)
        configured.run("systemctl", "daemon-reload")
        configured.run("systemctl", "start", "bybit-exporter")
        eventually(lambda: "https://localhost:9836/" in configured.log(), SECONDS)
    finally:
        shutil.rmtree(directory)
        configured.run("systemctl", "daemon-reload")


def test_a_wrong_configuration_is_not_tried_again(configured: Machine) -> None:
    (HOME / "config.yaml").write_text("nonsense: 1\n")
    configured.run("systemctl", "start", "bybit-exporter")
    eventually(lambda: configured.unit("ActiveState") == "failed", SECONDS)
    assert configured.unit("ExecMainStatus") == "2"
    assert configured.unit("NRestarts") == "0"
    assert "nonsense: unknown key" in configured.log()


def test_it_does_not_start_without_a_secret(configured: Machine) -> None:
    (HOME / "api_secret").unlink()
    configured.run("systemctl", "start", "bybit-exporter", expected=1)
    # Said by systemd itself. What the process said before may stand in the journal without the unit's name.
    eventually(lambda: "status=243/CREDENTIALS" in configured.log(), SECONDS)
