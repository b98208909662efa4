"""A real Prometheus on loopback."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

import requests

from tests.support import eventually, free_port, require_real

SCRAPE = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- {{job_name: bybit, static_configs: [{{targets: ['{target}']}}]}}
"""
"""A configuration that scrapes one target every second."""


class Prometheus:
    """Runs with a configuration (YAML or JSON), keeps its data in a directory, answers queries."""

    def __init__(self, configuration: str, directory: Path) -> None:
        require_real(shutil.which("prometheus") is not None, "prometheus (Debian)")
        self._directory = directory / "prometheus"
        self._directory.mkdir()
        (self._directory / "prometheus.yml").write_text(configuration)
        self.base_url = f"http://127.0.0.1:{free_port()}"

    def __enter__(self) -> Self:
        command = ["prometheus", f"--config.file={self._directory}/prometheus.yml"]
        command += [f"--storage.tsdb.path={self._directory}/data", "--log.level=error"]
        command += [f"--web.listen-address={self.base_url.removeprefix('http://')}"]
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        eventually(self._ready, 30)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def _ready(self) -> bool:
        assert self._process.poll() is None, (self._directory / "log").read_text()
        try:
            return requests.get(f"{self.base_url}/-/ready", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def _get(self, path: str, **parameters: str) -> Any:
        return requests.get(f"{self.base_url}/api/v1/{path}", params=parameters, timeout=10).json()["data"]

    def targets(self) -> dict[str, str]:
        """The health of each job's target: up, down or unknown."""
        return {target["labels"]["job"]: target["health"] for target in self._get("targets")["activeTargets"]}

    def query(self, expression: str) -> float:
        """The value of an expression with a single result."""
        [value] = self._values(expression)
        return value

    def wait_for(self, expected: float | None, expression: str) -> None:
        """Waits until this is the only value of an expression; None: until it has none."""
        eventually(lambda: self._values(expression) == ([] if expected is None else [expected]), 30)

    def _values(self, expression: str) -> list[float]:
        return [float(each["value"][1]) for each in self._get("query", query=expression)["result"]]
