"""Installs the wheel of dist/ and runs it as users do: ``python -m tools.release_check``, after ``make dist``.

For each supported Python on this machine, pip installs the wheel into a new environment, with the newest libraries that
it allows, as pipx does. Everything runs in an empty directory, on loopback.
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
    """Paths at which this version of Python may be: on the PATH, of pyenv, of uv."""
    if found := shutil.which(f"python{version}"):
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}")))
    if uv := shutil.which("uv"):
        command = [uv, "python", "find", "--no-python-downloads", version]
        found_by_uv = subprocess.run(command, capture_output=True, text=True, check=False)
        yield from found_by_uv.stdout.split("\n")[:1]


def works(python: str, version: str) -> bool:
    """Whether this Python has this version and can make environments. A shim of pyenv may do neither."""
    code = "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"
    with contextlib.suppress(OSError):
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        return (done.returncode, done.stdout.strip()) == (0, version)
    return False


class Installed:
    """An environment with the wheel, and an empty directory to run it in."""

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
        """Runs a process with its output in a pipe. It is killed at the end, or after a minute."""
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
        output = self.run(self.script, "--version")
        expected = rf"bybit-exporter {re.escape(version)} \(revision [0-9a-f]+, Python [\d.]+\)\n"
        check(re.fullmatch(expected, output), output)
        check(self.run(self.python, "-m", "bybit_exporter", "--version") == output, "python -m bybit_exporter differs")

    def check_once(self) -> None:
        """Runs --once against the embedded exchange, with the configuration that the exchange prints."""
        with self.running(self.python, "-m", "bybit_exporter.sandbox") as exchange:
            config = self._home / "config.yaml"
            config.touch(0o600)
            config.write_text("".join(lines_until(exchange, "api_secret")))  # of the first account
            check("bybit_asset_free{" in self.run(self.script, "--once"), "--once prints no balance")
        config.unlink()

    def check_demo(self) -> None:
        """Reads the pages, which need the templates and documents of the wheel."""
        flags = ["--demo", "--web.listen-address=127.0.0.1:0", "--log.format=json"]
        with self.running(self.script, *flags) as exporter:
            *_, listening = lines_until(exporter, '"listening"')
            base_url = json.loads(listening)["url"].rstrip("/")
            for path, expected in PAGES.items():
                with urllib.request.urlopen(base_url + path, timeout=SECONDS) as answer:  # noqa: S310 - on loopback
                    check(expected in answer.read().decode(), f"{path} does not have {expected}")


def lines_until(process: subprocess.Popen[str], expected: str) -> list[str]:
    """The output of the process, up to the line with the expected text."""
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
    """Checks that the wheel contains every document of the clone, and that none is empty."""
    inside = zipfile.ZipFile(wheel)
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "images").glob("*.png")):
        name = f"bybit_exporter/web/documents/{document.relative_to(ROOT)}"
        check(name in inside.namelist() and len(inside.read(name)) > 100, f"{name} is not in the wheel")


def main(arguments: Sequence[str]) -> None:
    """Checks the wheel of dist/ with each of these Python versions, by default with all supported ones."""
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
