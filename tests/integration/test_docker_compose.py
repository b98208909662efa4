"""The real docker-compose reads the stack, alone and with the file for one's own accounts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import require_real

ROOT = Path(__file__).parent.parent.parent
DATA = {"prometheus": "/prometheus", "alertmanager": "/alertmanager", "grafana": "/var/lib/grafana"}


def resolved(*files: str) -> dict[str, Any]:
    require_real(shutil.which("docker-compose") is not None, "docker-compose (Debian)")
    command = ["docker-compose", *(f"--file={file}" for file in files), "config"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    services: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return services


@pytest.mark.parametrize(
    ("files", "prefix", "command"),
    [
        (["compose.yaml"], "demo-", ["--demo"]),
        (["compose.yaml", "compose/accounts.yaml"], "", ["--config.file=/etc/bybit-exporter/config.yaml"]),
    ],
    ids=["demo", "accounts"],
)
def test_docker_compose_reads_it(files: list[str], prefix: str, command: list[str]) -> None:
    services = resolved(*files)
    assert services["exporter"]["command"] == command
    for service in services.values():
        assert all(str(port).startswith("127.0.0.1:") for port in service["ports"])
    for name, path in DATA.items():
        assert f"{prefix}{name}:{path}:rw" in services[name]["volumes"]
        assert len([volume for volume in services[name]["volumes"] if f":{path}:" in volume]) == 1


def test_docker_compose_reads_the_pair() -> None:
    services = resolved("compose.yaml", "compose/accounts.yaml", "compose/pair.yaml")
    first, second = services["exporter"], services["exporter-2"]
    for key in ("command", "image", "volumes", "cap_drop", "read_only", "security_opt"):
        assert second[key] == first[key]
    assert "ports" not in second
    [configuration] = [volume for volume in services["prometheus"]["volumes"] if "/prometheus.yml:" in volume]
    assert configuration.endswith("compose/pair-prometheus.yml:/etc/prometheus/prometheus.yml:ro")
