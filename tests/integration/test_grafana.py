"""The dashboards against what is not ours: Grafana's types, and a real Prometheus that scrapes the exporter.

Grafana itself cannot be had for a test; the types and the queries are what can go wrong between its versions and ours.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from bybit_exporter.sandbox import BANNED, UNLIMITED, Exchange, Holding, SandboxServer
from tests.exporter_process import ROOT, ExporterProcess, config_for
from tests.real_prometheus import Prometheus
from tests.support import eventually, require_real

Series = dict[str, Any]

DAY = 86400
STEP_SECONDS = 5
TYPES = ROOT / "tests" / "grafana-types"
DEADLINE_SECONDS = 60.0
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
ONLY_IN_TROUBLE = {
    *(("Alerts", "A"), ("Banned or unknown", "Anno"), ("Failed polls by reason", "A")),
    *(("Not shown", "A"), ("Not shown", "B"), ("Not shown", "C"), ("Accounts", "F")),
}

BEFORE = {"BTC": Holding("1.302604", "0.022527"), "USDT": Holding("1255440"), "SOL": Holding("7")}
WITHDRAWING = {"USDT": Holding("1219796.88", "0", "35643.12")}
MISTAKES = {
    "no such kind of panel": ('"type": "stat"', '"type": "singlestat"'),
    "no such option": ('"reduceOptions"', '"reduceOption"'),
    "no such value of an option": ('"colorMode": "background"', '"colorMode": "green"'),
    "no such property of a field": ('"custom.cellOptions"', '"custom.cellOption"'),
    "no such key of a query": ('"instant": true', '"instantaneous": true'),
    "a value of the wrong type": ('"refresh": "30s"', '"refresh": false'),
}

A_DAY_AGO = {"BTC": 1.3, "USDT": 1255440, "ETH": 2.5}


class PrometheusWithRules(Prometheus):
    """Scrapes one target each second, evaluates the shipped rules, and may remember a past."""

    def __init__(self, directory: Path, target: str) -> None:
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ROOT / "prometheus" / "alerts.yml")],
            "scrape_configs": [{"job_name": "bybit", "static_configs": [{"targets": [target]}]}],
        }
        super().__init__(json.dumps(configuration), directory)

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

    def series(self, query: Mapping[str, Any], account: str = ".*", coin: str = ".*") -> list[Series]:
        """What the query of a panel or of an annotation gives, with its variables filled in as Grafana does."""
        expr = query["expr"].replace("$account", account).replace("$coin", coin)
        expr = expr.replace("$__rate_interval", "1m").replace("$__interval", f"{STEP_SECONDS}s")
        if query.get("instant"):
            answer = self.ask("query", query=expr)
        else:
            now = time.time()
            span = {"start": str(now - 120), "end": str(now), "step": str(STEP_SECONDS)}
            answer = self.ask("query_range", query=expr, **span)
        found: list[Series] = answer["result"]
        return found


class World:
    """An exchange with three accounts, the exporter that reads it, and the Prometheus that scrapes the exporter."""

    def __init__(self, exchange: Exchange, exporter: ExporterProcess, prometheus: PrometheusWithRules) -> None:
        self.exchange = exchange
        self.exporter = exporter
        self.prometheus = prometheus

    def make_trouble(self) -> None:
        """An account withdraws and is banned; the key of another dies, so that its figures grow old."""
        self.exchange.accounts["spender"].update(WITHDRAWING)
        self.exchange.accounts["spender"].status = BANNED
        self.exchange.rotate_key(self.exchange.accounts["locked-out"])

    def unanswered(self) -> set[tuple[str, str]]:
        """The queries that give no series, each by its panel or annotation and its letter there."""
        return {(title, query["refId"]) for title, query in queries() if not self.prometheus.series(query)}

    def value(self, title: str, ref: str = "A", **labels: str) -> float | None:
        """The one value of an instant query of a panel that has these labels."""
        found = [
            float(series["value"][1])
            for series in self.prometheus.series(query_of(title, ref))
            if labels.items() <= series["metric"].items()
        ]
        assert len(found) <= 1, f"{title} {ref}: {found}"
        return found[0] if found else None


def queries() -> Iterator[tuple[str, dict[str, Any]]]:
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


def a_day_ago() -> str:
    """The balances of yesterday, in OpenMetrics."""
    end = time.time() - DAY
    lines = ["# TYPE bybit_asset_free gauge"]
    for coin, amount in A_DAY_AGO.items():
        labels = f'account="spender",account_type="SPOT",coin="{coin}",job="bybit",instance="yesterday"'
        lines += [f"bybit_asset_free{{{labels}}} {amount} {end + offset:.3f}" for offset in range(-900, 900, 60)]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("dashboards")
    exchange = Exchange(limits=UNLIMITED)
    exchange.add_account("spender", BEFORE)
    exchange.add_account("locked-out", {"BTC": Holding("3")})
    exchange.add_account("holder", {"BTC": Holding("5")})
    with SandboxServer(exchange) as server:
        config = config_for(exchange, server.base_url, "poll_interval: 1s\nstale_after: 3s")
        with ExporterProcess(config, directory) as exporter:
            prometheus = PrometheusWithRules(directory, exporter.base_url.removeprefix("http://"))
            prometheus.remember(a_day_ago())
            with prometheus:
                yield World(exchange, exporter, prometheus)


@pytest.fixture(scope="module")
def quiet(world: World) -> set[tuple[str, str]]:
    """The queries that give nothing while all is well, once everything has been scraped for a while."""
    eventually(lambda: not world.unanswered() - ONLY_IN_TROUBLE, DEADLINE_SECONDS)
    return world.unanswered()


@pytest.fixture(scope="module")
def trouble(world: World, quiet: set[tuple[str, str]]) -> World:
    world.make_trouble()
    return world


def compile_types(directory: Path, dashboards: Mapping[str, str]) -> str:
    """What the TypeScript compiler says when each dashboard is to be what Grafana 13 and 10 store."""
    node = shutil.which("node")
    require_real(node is not None, "Node.js")
    require_real((TYPES / "node_modules").is_dir(), "Grafana's types (npm ci --prefix tests/grafana-types)")
    for name, text in dashboards.items():
        (directory / f"{name}.ts").write_text(
            f"import type {{ Newest, Oldest }} from '{TYPES}/dashboard.ts';\n"
            f"const dashboard = {text.strip()} as const satisfies Newest;\n"
            "dashboard satisfies Oldest;\n"
        )
    files = [f"{name}.ts" for name in dashboards]
    (directory / "tsconfig.json").write_text(json.dumps({"extends": f"{TYPES}/tsconfig.json", "files": files}))
    command = [str(node), str(TYPES / "node_modules/typescript/bin/tsc"), "--project", str(directory)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=directory).stdout


def test_grafana_s_own_types_fit(tmp_path: Path) -> None:
    assert not compile_types(tmp_path, {path.stem: path.read_text() for path in DASHBOARDS})


def test_grafana_s_own_types_would_find_a_mistake(tmp_path: Path) -> None:
    text = (ROOT / "grafana" / "dashboards" / "bybit-balances.json").read_text()
    wrong = {mistake.replace(" ", "-"): text.replace(*change) for mistake, change in MISTAKES.items()}
    errors = compile_types(tmp_path, wrong)
    assert all(text != other for other in wrong.values())
    assert [name for name in wrong if f"{name}.ts(" not in errors] == []


def test_while_all_is_well_only_the_queries_for_trouble_are_empty(quiet: set[tuple[str, str]]) -> None:
    assert quiet == ONLY_IN_TROUBLE


def test_every_query_answers_with_series(trouble: World) -> None:
    eventually(lambda: not trouble.unanswered(), DEADLINE_SECONDS)


def test_the_status_of_each_account_is_told_apart(trouble: World) -> None:
    expected = {"holder": 1, "spender": 3, "locked-out": 0}
    eventually(lambda: {name: trouble.value("Status", account=name) for name in expected} == expected, DEADLINE_SECONDS)


def test_an_account_whose_figures_have_expired_is_named_with_the_reason(trouble: World) -> None:
    eventually(lambda: trouble.value("Not shown", "C", account="locked-out", reason="auth"), DEADLINE_SECONDS)
    [missing] = trouble.prometheus.series(query_of("Not shown", "A"))
    assert missing["metric"] == {"account": "locked-out", "account_type": "SPOT"}
    assert trouble.value("Balances now", account="locked-out") is None
    assert trouble.value("Balances now", account="holder", coin="BTC") == 5
    assert trouble.value("Accounts failing") == 1


def test_balances_are_exactly_what_the_exchange_states(trouble: World) -> None:
    stated = {"BTC": (1.302604, 0.022527, 0), "USDT": (1219796.88, 0, 35643.12), "SOL": (7, 0, 0)}

    def shown(coin: str) -> tuple[float | None, ...]:
        return tuple(trouble.value("Balances now", ref, account="spender", coin=coin) for ref in "ABC")

    eventually(lambda: {coin: shown(coin) for coin in stated} == stated, DEADLINE_SECONDS)


def test_changes_are_against_yesterday(trouble: World) -> None:
    """Yesterday's USDT is still there, though a part is being withdrawn; ETH is gone, SOL is new.

    Of the other accounts nothing is known of yesterday.
    """

    def shown(ref: str) -> dict[tuple[str, str], float]:
        found = trouble.prometheus.series(query_of("Changed in 24 h", ref))
        return {(one["metric"]["account"], one["metric"]["coin"]): float(one["value"][1]) for one in found}

    assert shown("A") == pytest.approx({("spender", "BTC"): 0.025131, ("spender", "ETH"): -2.5, ("spender", "SOL"): 7})
    assert shown("B") == pytest.approx({("spender", "BTC"): 0.025131 / 1.3, ("spender", "ETH"): -1})


def test_a_change_of_status_is_marked_once(trouble: World) -> None:
    eventually(lambda: trouble.prometheus.series(query_of("Banned or unknown", "Anno")), DEADLINE_SECONDS)
    [marked] = trouble.prometheus.series(query_of("Banned or unknown", "Anno"))
    assert marked["metric"] == {"account": "spender", "account_type": "SPOT", "status": "banned"}
    assert len(marked["values"]) == 1


def test_of_one_account_nothing_but_that_account_is_shown(trouble: World) -> None:
    for title, query in queries():
        shown = {series["metric"].get("account") for series in trouble.prometheus.series(query, account="holder")}
        assert shown <= {"holder", None}, title


def test_of_one_coin_nothing_but_that_coin_is_shown(trouble: World) -> None:
    for title, query in queries():
        if "$coin" in query["expr"]:
            shown = {series["metric"].get("coin") for series in trouble.prometheus.series(query, coin="BTC")}
            assert shown <= {"BTC", None}, title


def test_the_variables_offer_every_account_and_coin(trouble: World) -> None:
    def offered(label: str, selector: str) -> list[str]:
        values: list[str] = requests.get(
            f"{trouble.prometheus.base_url}/api/v1/label/{label}/values", {"match[]": selector}, timeout=10
        ).json()["data"]
        return values

    variables = json.loads((ROOT / "grafana" / "dashboards" / "bybit-balances.json").read_text())["templating"]["list"]
    asked = {
        variable["name"]: variable["query"].removeprefix("label_values(").removesuffix(")") for variable in variables
    }
    for label, expected in {
        "account": ["holder", "locked-out", "spender"],
        "coin": ["BTC", "ETH", "SOL", "USDT"],
    }.items():
        selector, _, name = asked[label].rpartition(", ")
        assert name == label
        assert offered(label, selector.replace("$account", ".*")) == expected
