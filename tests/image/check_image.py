"""What `make image-test` asks of the image that build.sh has left in build/image.

An OCI runtime runs it as a careful operator would: its own user and entrypoint, a read-only root, no capabilities, no
new privileges. Not collected by `make test`, since building needs root and minutes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import pytest
import requests

from tests.exporter_process import DEADLINE_SECONDS, ROOT, Samples, parse
from tests.support import eventually, free_port

BUILT = ROOT / "build" / "image"
ROOTFS = (BUILT / "rootfs").resolve()
CONFIG: dict[str, Any] = json.loads((BUILT / "image.json").read_text())["Docker"]["config"]
REVISION = os.environ["BYBIT_EXPORTER_REVISION"]

MOST_BYTES_BEYOND_THE_BASE = 40_000_000
"""Half of what there is now is `cryptography` and what it needs, for keys that sign with RSA."""

FORBIDDEN = re.compile(r"(.*/)?(s?bin/(pip.*|cc|gcc.*|g\+\+.*|make|ld|as)|pip|ensurepip|flit_core|python-wheels)")

CONFIGURATION = """
accounts:
  - {name: main, account_type: SPOT, api_key_file: /run/secrets/api_key, api_secret_file: /run/secrets/api_secret}
"""


class Container:
    """A container of the image. The network is the machine's, or its own with nothing but a loopback."""

    def __init__(self, directory: Path, *flags: str, mounts: Sequence[Path] = (), own_network: bool = False) -> None:
        self._bundle = directory
        self._log = directory / "log"
        self._name = f"bybit-exporter-{os.getpid()}-{directory.name}"
        (directory / "config.json").write_text(json.dumps(_runtime_config(flags, mounts, own_network)))

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            command = ["runc", "run", "--bundle", str(self._bundle), self._name]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            subprocess.run(["runc", "kill", self._name, "KILL"], check=False)
        self.process.wait(10)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def send(self, number: signal.Signals) -> None:
        subprocess.run(["runc", "kill", self._name, number.name], check=True)

    def healthcheck(self) -> int:
        kind, *command = CONFIG["Healthcheck"]["Test"]
        assert kind == "CMD"
        return subprocess.run(["runc", "exec", self._name, *command], check=False, timeout=30).returncode

    def process_status(self) -> dict[str, str]:
        """/proc/PID/status of the exporter."""
        state = subprocess.run(["runc", "state", self._name], check=True, capture_output=True).stdout
        lines = Path(f"/proc/{json.loads(state)['pid']}/status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _runtime_config(flags: Sequence[str], mounts: Sequence[Path], own_network: bool) -> dict[str, Any]:
    """https://github.com/opencontainers/runtime-spec/blob/main/config.md"""
    uid, gid = map(int, CONFIG["User"].split(":"))
    namespaces = ["pid", "mount", "ipc", "uts"] + ["network"] * own_network
    empty = [{"destination": path, "type": "tmpfs", "source": "tmpfs"} for path in ("/run", "/etc/bybit-exporter")]
    files = [
        {"destination": _inside(path), "type": "bind", "source": str(path), "options": ["bind", "ro"]}
        for path in mounts
    ]
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(ROOTFS), "readonly": True},
        "process": {
            "user": {"uid": uid, "gid": gid},
            "args": [*CONFIG["Entrypoint"], *flags],
            "env": CONFIG["Env"],
            "cwd": CONFIG["WorkingDir"],
            "noNewPrivileges": True,
            "capabilities": {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")},
        },
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, *empty, *files],
        "linux": {"namespaces": [{"type": namespace} for namespace in namespaces]},
    }


def _inside(path: Path) -> str:
    return f"/etc/bybit-exporter/{path.name}" if path.suffix == ".yaml" else f"/run/secrets/{path.name}"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    directory = tmp_path / "bundle"
    directory.mkdir()
    return directory


@contextlib.contextmanager
def listening(bundle: Path, *flags: str, own_network: bool = False) -> Iterator[Container]:
    with Container(bundle, *flags, own_network=own_network) as container:
        eventually(lambda: "msg=listening" in container.log or container.process.poll() is not None, DEADLINE_SECONDS)
        assert container.process.poll() is None, container.log
        yield container


def run_to_the_end(bundle: Path, *flags: str, mounts: Sequence[Path] = ()) -> tuple[int, str]:
    with Container(bundle, *flags, mounts=mounts) as container:
        return container.process.wait(DEADLINE_SECONDS), container.log


def scrape(port: int) -> Samples:
    return parse(requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text)


def test_the_demo_can_be_scraped_from_outside(bundle: Path) -> None:
    port = free_port()
    with listening(bundle, "--demo", f"--web.listen-address=:{port}") as container:
        up = ("bybit_up", frozenset({("account", "trading"), ("account_type", "SPOT")}))
        eventually(lambda: scrape(port).get(up) == 1, DEADLINE_SECONDS)
        assert container.healthcheck() == 0


def test_it_runs_as_nobody_in_particular(bundle: Path) -> None:
    with listening(bundle, "--demo", own_network=True) as container:
        status = container.process_status()
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65532"}
    assert {int(status[kind], 16) for kind in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"


def test_it_listens_on_every_interface_unless_told_otherwise(bundle: Path) -> None:
    with listening(bundle, "--demo", own_network=True) as container:
        assert "url=http://localhost:9836/" in container.log
        assert container.healthcheck() == 0


def test_an_exporter_that_hangs_is_unhealthy(bundle: Path) -> None:
    with listening(bundle, "--demo", own_network=True) as container:
        container.send(signal.SIGSTOP)
        assert container.healthcheck() == 1
        container.send(signal.SIGCONT)
        assert container.healthcheck() == 0


def test_it_ends_on_term_in_two_seconds(bundle: Path) -> None:
    with listening(bundle, "--demo", own_network=True) as container:
        container.send(signal.SIGTERM)
        assert container.process.wait(2) == 0


def test_the_version_names_the_revision(bundle: Path) -> None:
    status, output = run_to_the_end(bundle, "--version")
    assert status == 0
    assert f"(revision {REVISION}," in output


@pytest.mark.parametrize(("owner", "expected"), [(65532, 0), (0, 2)])
def test_secrets_are_files_that_its_user_can_read(bundle: Path, tmp_path: Path, owner: int, expected: int) -> None:
    (tmp_path / "config.yaml").write_text(CONFIGURATION)
    for name in ("api_key", "api_secret"):
        secret = tmp_path / name
        secret.write_text("made-up\n")
        secret.chmod(0o400)
        os.chown(secret, owner, owner)
    mounts = [tmp_path / name for name in ("config.yaml", "api_key", "api_secret")]
    status, output = run_to_the_end(bundle, "--check-config", mounts=mounts)
    assert status == expected, output
    assert ("ok" if expected == 0 else "Permission denied") in output


def test_the_labels() -> None:
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in CONFIG["Labels"].items()}
    assert labels["version"] == "0.0.0-test"
    assert labels["revision"] == REVISION
    assert labels["title"] == "bybit-exporter"
    assert labels["licenses"] == "Apache-2.0"
    assert datetime.fromisoformat(labels["created"]).tzinfo


def files(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for directory, names, others in os.walk(root):
        for name in names + others:
            path = Path(directory, name)
            yield path.relative_to(root), path.lstat()


def test_nothing_gives_privileges_builds_or_installs() -> None:
    inside = list(files(ROOTFS))
    assert [path for path, status in inside if stat.S_ISREG(status.st_mode) and status.st_mode & 0o6000] == []
    assert [path for path, _ in inside if FORBIDDEN.fullmatch(str(path))] == []
    assert {path.name for path, _ in inside} >= {"bybit-exporter", "healthcheck.py"}, "looked at the wrong place"


def test_nothing_belongs_to_its_user() -> None:
    assert [path for path, status in files(ROOTFS) if 65532 in (status.st_uid, status.st_gid)] == []


def test_it_is_small(capsys: pytest.CaptureFixture[str]) -> None:
    added = sum(status.st_size for path, status in files(ROOTFS) if path.is_relative_to("opt/bybit-exporter"))
    with capsys.disabled():
        sys.stdout.write(f"\nbeyond the base: {added / 1e6:.1f} MB\n")
    assert 1_000_000 < added < MOST_BYTES_BEYOND_THE_BASE


def test_nothing_else_was_added() -> None:
    base = {path for path, _ in files((BUILT / "base").resolve())}
    mounted_for_the_build = {Path("etc/hosts"), Path("etc/pip.conf"), Path("wheels")}
    added = {path for path, _ in files(ROOTFS)} - base - mounted_for_the_build
    strange = {path for path in added if not path.is_relative_to("opt/bybit-exporter")}
    assert strange == {Path("etc/bybit-exporter")}
