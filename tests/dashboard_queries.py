"""The queries of both dashboards, and a real Prometheus that answers them as it would answer Grafana."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from tests.exporter_process import ROOT
from tests.real_prometheus import Prometheus

Series = dict[str, Any]
Query = tuple[str, dict[str, Any]]

DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))


def queries() -> Iterator[Query]:
    """Every query of both dashboards with the title of its panel, or the name of its annotation."""
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text())
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                yield panel["title"], target
        for annotation in dashboard["annotations"]["list"]:
            yield annotation["name"], annotation["target"]


def query_of(title: str, ref: str) -> dict[str, Any]:
    return next(query for name, query in queries() if (name, query["refId"]) == (title, ref))


class DashboardPrometheus(Prometheus):
    """Scrapes these targets each second, evaluates the shipped rules, and may remember a past."""

    def __init__(self, directory: Path, *targets: str, step_seconds: int = 5) -> None:
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ROOT / "prometheus" / "alerts.yml")],
            "scrape_configs": [{"job_name": "bybit", "static_configs": [{"targets": targets}]}] if targets else [],
        }
        super().__init__(json.dumps(configuration), directory)
        self._step_seconds = step_seconds

    def remember(self, openmetrics: str) -> None:
        """Puts samples of the past into the database before it is opened: a running Prometheus takes none."""
        (self._directory / "past.om").write_text(openmetrics)
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "past.om", "data"]
        subprocess.run(command, cwd=self._directory, check=True, capture_output=True)

    def ask(self, path: str, **parameters: str) -> Any:
        answer = requests.post(f"{self.base_url}/api/v1/{path}", parameters, timeout=20).json()
        assert answer["status"] == "success", f"{answer} to {parameters}"
        assert not answer.get("warnings"), answer
        return answer["data"]

    def series(self, query: Mapping[str, Any], at: float | None = None, **chosen: str) -> list[Series]:
        """What the query of a panel or an annotation gives, with its variables filled in as Grafana does.

        ``chosen`` has the values of variables; the others are "All".
        """
        now = time.time() if at is None else at
        expr = query["expr"].replace("$__rate_interval", "1m").replace("$__interval", f"{self._step_seconds}s")
        for variable in ("cluster", "namespace", "job", "account", "wallet", "coin"):
            expr = expr.replace(f"${variable}", chosen.get(variable, ".*"))
        if query.get("instant"):
            answer = self.ask("query", query=expr, time=str(now))
        else:
            span = {"start": str(now - 120), "end": str(now), "step": str(self._step_seconds)}
            answer = self.ask("query_range", query=expr, **span)
        found: list[Series] = answer["result"]
        return found

    def value(self, title: str, ref: str = "A", at: float | None = None, **labels: str) -> float | None:
        """The one value of an instant query of a panel that has these labels."""
        found = [
            float(series["value"][1])
            for series in self.series(query_of(title, ref), at)
            if labels.items() <= series["metric"].items()
        ]
        assert len(found) <= 1, f"{title} {ref}: {found}"
        return found[0] if found else None

    def values_of(self, label: str, selector: str = "") -> list[str]:
        """The values of a label, of the series that a selector chooses."""
        parameters = {"match[]": selector} if selector else {}
        url = f"{self.base_url}/api/v1/label/{label}/values"
        values: list[str] = requests.get(url, parameters, timeout=10).json()["data"]
        return values
