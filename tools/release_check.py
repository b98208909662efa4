"""Installs the wheel of dist/ and tries what its users do: ``python -m tools.release_check``, after ``make dist``.

Each supported Python that this machine has gets an environment of its own, into which pip installs the wheel and the
newest libraries that it admits, as pipx does. Everything runs in an empty directory, on loopback.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
SECONDS = 60.0
PAGES = {"/": "<title>", "/metrics": "bybit_up{", "/-/documentation": "bybit-exporter"}

_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("BYBIT_", "PYTHON"))}


def interpreters(version: str) -> Iterator[str]:
    """Where a Python of this version may be: on the path, among pyenv's, among uv's."""
    if found := shutil.which(f"python{version}"):
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}")))
    if uv := shutil.which("uv"):
        command = [uv, "python", "find", "--no-python-downloads", version]
        found_by_uv = subprocess.run(command, capture_output=True, text=True, check=False)
        yield from found_by_uv.stdout.split("\n")[:1]


def works(python: str, version: str) -> bool:
    """Whether this is that Python, with what ``python -m venv`` needs; a shim of pyenv may be neither."""
    code = "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"
    with contextlib.suppress(OSError):
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        return (done.returncode, done.stdout.strip()) == (0, version)
    return False


class Installed:
    """The wheel in an environment of its own, and an empty directory to run it in."""

    def __init__(self, python: str, wheel: Path, directory: Path) -> None:
        self._home = directory / "home"
        self._home.mkdir()
        self._bin = directory / "venv" / "bin"
        self.python = str(self._bin / "python")
        self.script = str(self._bin / "bybit-exporter")
        self.run(python, "-m", "venv", str(directory / "venv"))
        self.run(self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self._home, env=_ENVIRONMENT, capture_output=True, text=True, check=False, timeout=600
        )
        check(done.returncode == 0, f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    @contextlib.contextmanager
    def running(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """A process with its output in a pipe. It is killed at the end, and after a minute in any case."""
        process = subprocess.Popen(
            command, cwd=self._home, env=_ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        deadline = threading.Timer(SECONDS, process.kill)
        deadline.start()
        try:
            yield process
        finally:
            deadline.cancel()
            process.kill()
            process.communicate()

    def check_version(self, version: str) -> None:
        told = self.run(self.script, "--version")
        check(re.fullmatch(rf"bybit-exporter {re.escape(version)} \(revision [0-9a-f]+, Python [\d.]+\)\n", told), told)
        check(self.run(self.python, "-m", "bybit_exporter", "--version") == told, "python -m bybit_exporter differs")

    def check_once(self) -> None:
        """Against the embedded exchange, which prints the configuration that asks it."""
        with self.running(self.python, "-m", "bybit_exporter.sandbox") as exchange:
            config = self._home / "config.yaml"
            config.touch(0o600)
            config.write_text("".join(lines_until(exchange, "api_secret")))  # of the first account
            check("bybit_asset_free{" in self.run(self.script, "--once"), "--once prints no balance")
        config.unlink()

    def check_demo(self) -> None:
        """The pages, and with them the templates and documents that must be in the wheel."""
        flags = ["--demo", "--web.listen-address=127.0.0.1:0", "--log.format=json"]
        with self.running(self.script, *flags) as exporter:
            *_, listening = lines_until(exporter, '"listening"')
            base_url = json.loads(listening)["url"].rstrip("/")
            for path, expected in PAGES.items():
                with urllib.request.urlopen(base_url + path, timeout=SECONDS) as answer:  # noqa: S310 - on loopback
                    check(expected in answer.read().decode(), f"{path} does not have {expected}")


def lines_until(process: subprocess.Popen[str], expected: str) -> list[str]:
    """What the process prints, up to the line with the expected text."""
    lines: list[str] = []
    for line in process.stdout or ():
        lines.append(line)
        if expected in line:
            return lines
    raise SystemExit(f"{process.args!r} has ended without {expected}:\n{''.join(lines)}")


def check(condition: object, problem: str) -> None:
    """Ends the program with the problem unless the condition holds."""
    if not condition:
        raise SystemExit(f"release-check: {problem}")


def documents(wheel: Path) -> None:
    """Every document that a clone has is in the wheel, as a file with content."""
    inside = zipfile.ZipFile(wheel)
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "images").glob("*.png")):
        name = f"bybit_exporter/web/documents/{document.relative_to(ROOT)}"
        check(name in inside.namelist() and len(inside.read(name)) > 100, f"{name} is not in the wheel")


def main(arguments: Sequence[str]) -> None:
    """Tries the wheel of dist/ on each of these Pythons, by default on each that is supported."""
    (wheel,) = (ROOT / "dist").glob("*.whl")
    version = wheel.name.split("-")[1]
    documents(wheel)
    tried = []
    for supported in arguments or SUPPORTED:
        python = next((each for each in interpreters(supported) if works(each, supported)), None)
        if python is None:
            print(f"Python {supported}: not on this machine", flush=True)
            continue
        with tempfile.TemporaryDirectory() as directory:
            installed = Installed(python, wheel, Path(directory))
            installed.check_version(version)
            installed.check_once()
            installed.check_demo()
        print(f"Python {supported}: {wheel.name} works ({python})", flush=True)
        tried.append(supported)
    check(tried, f"none of Python {', '.join(SUPPORTED)} is on this machine")


if __name__ == "__main__":
    main(sys.argv[1:])
