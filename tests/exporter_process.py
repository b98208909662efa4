"""The exporter as its users run it: a process with a configuration file, asked over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import requests
from prometheus_client.parser import text_string_to_metric_families

from bybit_exporter.sandbox import Exchange
from tests.support import eventually

ROOT = Path(__file__).parent.parent
DEADLINE_SECONDS = 20.0

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def config_for(
    exchange: Exchange,
    base_url: str,
    top: str = "poll_interval: 1s",
    account: str = "",
    account_types: Mapping[str, str] | None = None,
) -> str:
    """A configuration of all accounts of an embedded exchange, as SPOT unless ``account_types`` has another.

    ``top`` and ``account`` are further YAML lines.
    """
    lines = [top, "api:", f"  base_url: {base_url}", "accounts:"]
    for held in exchange.accounts.values():
        account_type = (account_types or {}).get(held.name, "SPOT")
        lines += [f"  - name: {json.dumps(held.name)}", f"    account_type: {account_type}"]
        lines += [f"    api_key: {json.dumps(held.api_key)}", f"    api_secret: {json.dumps(held.api_secret)}"]
        lines += [f"    {line}" for line in account.splitlines()]
    return "\n".join(lines) + "\n"


def write_private(path: Path, text: str) -> None:
    """Writes a file with secrets, such that the exporter does not warn of others who may read it."""
    path.touch(0o600)
    path.write_text(text)


def run_exporter(*flags: str, cwd: Path, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the exporter to its end, in a directory of its own and without the secrets of this environment."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BYBIT_")}
    return subprocess.run(
        [sys.executable, str(ROOT / "exporter.py"), *flags],
        cwd=cwd,
        env={**inherited, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=60,
    )


def parse(exposition: str) -> Samples:
    """The samples of an exposition by name and labels; fails if a series stands twice."""
    samples: Samples = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples, f"twice: {key}"
            samples[key] = sample.value
    return samples


def value_of(samples: Samples, name: str, **labels: str) -> float | None:
    """The value of one series, given by labels that only it has; None if there is none."""
    found = [
        value for (series, own), value in samples.items() if series == name and labels.items() <= dict(own).items()
    ]
    assert len(found) <= 1, f"{name} {labels} is ambiguous"
    return found[0] if found else None


_READ_PIPE_FIRST = """
import importlib, os

module = importlib.import_module(os.environ["HANGING_MODULE"])
honest = module.load

def load(path):
    if os.path.exists(os.environ["PIPE"]):
        open(os.environ["PIPE"]).read()
    return honest(path)

module.load = load
"""


class HangingReads:
    """Makes an exporter with this ``environ`` hang when it reads its configuration, from `start` until `stop`.

    ``module`` has the function ``load`` that reads it.
    """

    def __init__(self, directory: Path, module: str = "bybit_exporter.config") -> None:
        (directory / "sitecustomize.py").write_text(_READ_PIPE_FIRST)
        self._pipe = directory / "pipe"
        self._writer = -1
        self.environ = {"PYTHONPATH": str(directory), "PIPE": str(self._pipe), "HANGING_MODULE": module}

    def start(self) -> None:
        os.mkfifo(self._pipe)

    def wait_for_reader(self) -> None:
        eventually(self._has_reader, DEADLINE_SECONDS)

    def stop(self) -> None:
        self._pipe.unlink()
        os.close(self._writer)

    def _has_reader(self) -> bool:
        with contextlib.suppress(OSError):  # nobody reads
            self._writer = os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
        return self._writer >= 0


class ExporterProcess:
    """A running exporter. Its log is collected as JSON events."""

    def __init__(
        self,
        config: str,
        directory: Path,
        flags: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        program: Path = ROOT / "exporter.py",
    ) -> None:
        self.config_file = directory / "config.yaml"
        write_private(self.config_file, config)
        self._command = [sys.executable, str(program), f"--config.file={self.config_file}"]
        if not any(flag.startswith("--web.listen-address") for flag in flags):
            self._command.append("--web.listen-address=127.0.0.1:0")
        self._command += ["--log.format=json", *flags]
        self._environ = {**os.environ, **(environ or {})}
        self.log: list[dict[str, Any]] = []
        self.raw_log = ""
        self.base_url = ""

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(self._command, env=self._environ, stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        eventually(lambda: self.base_url or self.process.poll() is not None, DEADLINE_SECONDS)
        assert self.base_url, self.raw_log
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self._reader.join(5)
        if self.process.stderr:
            self.process.stderr.close()

    def _read_log(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.raw_log += line
            event = json.loads(line) if line.startswith("{") else {"msg": line}
            self.log.append(event)
            if event["msg"] == "listening":
                self.base_url = event["url"].rstrip("/")

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        return self.request("GET", path, **kwargs)

    def request(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        return requests.request(method, self.base_url + path, timeout=10, **kwargs)

    def exposition(self) -> str:
        response = self.get("/metrics")
        assert response.status_code == 200
        return response.text

    def samples(self) -> Samples:
        return parse(self.exposition())

    def value(self, name: str, **labels: str) -> float | None:
        return value_of(self.samples(), name, **labels)

    def wait_for(self, expected: float | None, name: str, deadline: float = DEADLINE_SECONDS, **labels: str) -> None:
        eventually(lambda: self.value(name, **labels) == expected, deadline)

    def events(self, msg: str) -> Iterator[dict[str, Any]]:
        return (event for event in list(self.log) if event["msg"] == msg)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ends_with(self, status: int, within: float) -> None:
        assert self.process.wait(within) == status
