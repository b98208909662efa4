"""Takes the pictures of the dashboards: ``python -m tests.browser.dashboard_pictures``.

Runs the demo and a real Prometheus that scrapes it for a while, sends it every query of the dashboards' JSON, and draws
the answers with Grafana's own components (``tests/grafana-ui``) in Chromium. With ``--prometheus`` it draws the data of
another Prometheus, with ``--made-up`` the accounts of `tests.dashboard_data`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from tests.browser.chromium import Chromium
from tests.dashboard_data import openmetrics
from tests.dashboard_queries import DASHBOARDS, DashboardPrometheus
from tests.exporter_process import ROOT
from tests.support import free_port

UI = ROOT / "tests" / "grafana-ui"
PICTURES = ROOT / "docs" / "images"
WIDTH = 1400
POINTS = 240
SCRAPE_SECONDS = 15
"""What Grafana assumes, unless its data source says otherwise."""
DAY = 86400

PAGE = """<!doctype html><meta charset="utf-8"><title>{title}</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="draw.css">
<style>* {{ box-sizing: border-box }} body {{ margin: 0 }}</style>
<div id="root"></div><script>window.sheet = {sheet}</script><script type="module" src="draw.js"></script>"""

Json = dict[str, Any]


class Answers:
    """Asks a Prometheus what the panels of a dashboard ask, for a time range that ends at a moment."""

    def __init__(self, base_url: str, end: float, seconds: float) -> None:
        self._url = f"{base_url}/api/v1/"
        self.start, self.end = end - seconds, end
        self._step = max(1, round(seconds / POINTS))
        self._rate_interval = max(self._step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)

    def of(self, panel: Json, coin: str) -> list[Json]:
        """The answer to each query of the panel."""
        return [self._answer(target, coin) for target in panel["targets"]]

    def _answer(self, target: Json, coin: str) -> Json:
        expr = target["expr"].replace("$__rate_interval", f"{self._rate_interval:g}s").replace("$coin", coin)
        for variable in ("cluster", "namespace", "job", "account", "wallet"):
            expr = expr.replace(f"${variable}", ".*")
        if target["instant"]:
            result = self._ask("query", query=expr, time=self.end)
        else:
            result = self._ask("query_range", query=expr, start=self.start, end=self.end, step=self._step)
        shown = {key: target[key] for key in ("refId", "format")}
        return {**shown, "legend": target["legendFormat"], "step": self._step, "result": result}

    def _ask(self, path: str, **parameters: object) -> list[Json]:
        answer = requests.post(self._url + path, data=parameters, timeout=60).json()
        assert answer["status"] == "success", answer
        result: list[Json] = answer["data"]["result"]
        return result


def sheet_of(dashboard: Json, answers: Answers) -> Json:
    """What the page draws. Of panels that repeat for each coin, those of BTC are drawn."""
    found: dict[int, list[Json]] = {}
    repeated = False
    for panel in dashboard["panels"]:
        repeated = repeated or panel.get("repeat") == "coin"
        panel["title"] = panel["title"].replace("$coin", "BTC")
        if panel["type"] != "row":
            found[panel["id"]] = answers.of(panel, "BTC" if repeated else ".*")
    return {"dashboard": dashboard, "answers": found, "from": answers.start, "to": answers.end, "width": WIDTH}


def bundle(directory: Path) -> None:
    """Puts the page's script, style and icons into the directory."""
    if not (UI / "node_modules").is_dir():
        sys.exit("Grafana's components are not installed: npm ci --prefix tests/grafana-ui")
    loaders = [f"--loader:.{kind}=dataurl" for kind in ("woff", "woff2", "svg")]
    command = ["node_modules/.bin/esbuild", "draw.jsx", "--bundle", "--format=esm", "--log-level=error", *loaders]
    command += ["--define:process.env.NODE_ENV='production'", f"--outdir={directory}"]
    subprocess.run(command, cwd=UI, check=True)
    (directory / "public").symlink_to(UI / "node_modules/@grafana/ui/dist/public")


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Serves the directory on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def draw(answers: Answers) -> None:
    """Draws every dashboard into a picture of its name."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bundle(directory)
        base_url = stack.enter_context(served(directory))
        browser = stack.enter_context(Chromium())
        for path in DASHBOARDS:
            dashboard = json.loads(path.read_text())
            sheet = json.dumps(sheet_of(dashboard, answers)).replace("<", "\\u003c")
            (directory / "index.html").write_text(PAGE.format(title=dashboard["title"], sheet=sheet))
            browser.visit(base_url, {"width": WIDTH, "height": 900}, dark=True)
            browser.until("window.drawn === true", 60)
            complaints = browser.seen()["complaints"]
            assert not complaints, complaints
            browser.screenshot(str(directory / "full.png"), True)
            picture = PICTURES / f"{path.stem}.png"
            subprocess.run(["node", "compress.mjs", directory / "full.png", picture], cwd=UI, check=True)


@contextmanager
def demo(directory: Path, minutes: float) -> Iterator[str]:
    """A Prometheus that has scraped the demo for so long."""
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "exporter.py", "--demo", f"--web.listen-address={address}", "--log.level=error"]
    exporter = subprocess.Popen(command, cwd=ROOT)
    try:
        with DashboardPrometheus(directory, address) as prometheus:
            sys.stderr.write(f"The demo runs for {minutes:g} minutes.\n")
            time.sleep(60 * minutes)
            yield prometheus.base_url
    finally:
        exporter.terminate()
        exporter.wait(10)


@contextmanager
def made_up(directory: Path, end: float, minutes: float) -> Iterator[str]:
    """A Prometheus that has made-up accounts of now and of a day ago."""
    prometheus = DashboardPrometheus(directory)
    target = [{"job": "bybit", "instance": "127.0.0.1:9836"}]
    yesterday = openmetrics(target, end - DAY - 600, end - DAY + 600, SCRAPE_SECONDS)
    prometheus.remember(
        yesterday.removesuffix("# EOF\n") + openmetrics(target, end - 60 * minutes, end, SCRAPE_SECONDS)
    )
    with prometheus:
        yield prometheus.base_url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15, help="how long the demo runs, or the time range")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--made-up", action="store_true", help="draw the accounts of the tests")
    source.add_argument("--prometheus", help="draw what the Prometheus at this address has")
    options = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.prometheus:
            base_url = options.prometheus.rstrip("/")
        elif options.made_up:
            base_url = stack.enter_context(made_up(directory, time.time(), options.minutes))
        else:
            base_url = stack.enter_context(demo(directory, options.minutes))
        draw(Answers(base_url, time.time(), 60 * options.minutes))


if __name__ == "__main__":
    main()
