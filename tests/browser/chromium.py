"""A real Chromium, driven from Python through a small script for Node.js (`tests/node/browser.mjs`)."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any, Self

from tests.exporter_process import ROOT
from tests.support import eventually, require_real

NODE = ROOT / "tests" / "node"

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}


class Chromium:
    """A browser with one page at a time. Any call of the script is a method: ``browser.click("#top a")``."""

    def __init__(self) -> None:
        node, chromium = shutil.which("node"), shutil.which("chromium")
        require_real(node is not None, "nodejs npm (Debian)")
        require_real(chromium is not None, "chromium (Debian)")
        for package in ("playwright-core", "axe-core"):
            require_real((NODE / "node_modules" / package).is_dir(), "npm ci --prefix tests/node")
        self._command = [str(node), "browser.mjs", str(chromium)]

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, cwd=NODE, stdin=pipe, stdout=pipe, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.stdout.close()

    def __getattr__(self, call: str) -> Any:
        return lambda *parameters: self._call(call, *parameters)

    def _call(self, *call: object) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "the browser has ended"}')
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def visit(self, url: str, viewport: dict[str, int] = DESKTOP, *, dark: bool = False, script: bool = True) -> None:
        """Opens a fresh page of this size and theme, with or without JavaScript."""
        scheme = "dark" if dark else "light"
        self.open({"viewport": viewport, "colorScheme": scheme, "javaScriptEnabled": script})
        assert self.goto(url) == 200

    def until(self, script: str, within: float = 20.0) -> None:
        """Returns once the expression is true in the page. (Playwright's own way would need unsafe-eval.)"""
        eventually(lambda: self.evaluate(script), within)
