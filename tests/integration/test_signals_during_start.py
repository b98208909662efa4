"""Signals before the exporter serves: while it imports its modules, and as process 1 of a container."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bybit_exporter.sandbox import Exchange, Holding, SandboxServer, faults
from tests.exporter_process import ROOT, config_for, write_private
from tests.support import eventually, require_real, seconds_to_end

ENDINGS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])

PROGRAMS = pytest.mark.parametrize(
    "program",
    [
        [sys.executable, str(ROOT / "exporter.py")],
        [sys.executable, "-m", "bybit_exporter"],
        [str(Path(sys.executable).with_name("bybit-exporter"))],
    ],
    ids=["exporter.py", "module", "console script"],
)

IMPORTED = 7

SLOW_LIBRARY = f"""
import pathlib, sys, time
pathlib.Path("importing").touch()
while not pathlib.Path("go").exists():
    time.sleep(0.01)
sys.exit({IMPORTED})
"""


@contextlib.contextmanager
def started(command: Sequence[str], directory: Path, environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, cwd=directory, env=environ, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def slow_imports(tmp_path: Path) -> dict[str, str]:
    """An environment in which the first import of a library lasts until there is a file ``go``."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    (libraries / "structlog.py").write_text(SLOW_LIBRARY)
    return {**os.environ, "PYTHONPATH": f"{libraries}:{ROOT}"}


@PROGRAMS
@ENDINGS
def test_signal_during_the_imports_ends_it_without_a_traceback(
    program: list[str], number: signal.Signals, tmp_path: Path, slow_imports: dict[str, str]
) -> None:
    with started([*program, "--demo"], tmp_path, slow_imports) as process:
        eventually((tmp_path / "importing").exists, 20)
        process.send_signal(number)
        assert process.wait(10) == -number
        assert process.stderr
        assert process.stderr.read() == ""


@PROGRAMS
def test_sighup_during_the_imports_does_not_end_it(
    program: list[str], tmp_path: Path, slow_imports: dict[str, str]
) -> None:
    with started([*program, "--demo"], tmp_path, slow_imports) as process:
        eventually((tmp_path / "importing").exists, 20)
        process.send_signal(signal.SIGHUP)
        (tmp_path / "go").touch()
        assert process.wait(10) == IMPORTED


@pytest.fixture
def unshare() -> list[str]:
    """A command whose child is process 1 of its own process namespace, as in a container."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    works = shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True).returncode == 0
    require_real(bool(works), "unshare (util-linux), with the right to use it")
    return command


def child_of(process: subprocess.Popen[str]) -> int:
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())


@ENDINGS
def test_once_as_process_1_ends_while_the_exchange_hangs(
    unshare: list[str], number: signal.Signals, tmp_path: Path
) -> None:
    account = Exchange().add_account("main", {"ETH": Holding("1")})
    account.fault = faults.Hang()
    with SandboxServer(account.exchange) as server:
        write_private(tmp_path / "config.yaml", config_for(server.exchange, server.base_url))
        command = [*unshare, sys.executable, str(ROOT / "exporter.py"), "--once"]
        with started(command, tmp_path, dict(os.environ)) as process:
            eventually(lambda: account.request_count, 20)
            os.kill(child_of(process), number)
            assert process.wait(seconds_to_end()) == 128 + number


@ENDINGS
def test_demo_as_process_1_ends_during_its_start(unshare: list[str], number: signal.Signals, tmp_path: Path) -> None:
    flags = ["--demo", "--web.listen-address=127.0.0.1:0"]
    with started([*unshare, sys.executable, str(ROOT / "exporter.py"), *flags], tmp_path, dict(os.environ)) as process:
        assert process.stderr
        assert "DEMO" in process.stderr.readline()
        os.kill(child_of(process), number)
        assert process.wait(seconds_to_end()) in (0, 128 + number)  # 0: it served already
