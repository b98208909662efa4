"""The dashboards' structure, and that they query what the exporter exposes."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector

from grafana.build import dashboards
from mixin.settings import Levels, Settings, Thresholds
from tests.families import ALL_FAMILIES
from tests.promql import metrics, selectors

Json = dict[str, Any]
FOLDER = Path(__file__).parent.parent.parent / "grafana" / "dashboards"

DASHBOARDS: dict[str, Json] = {path.name: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
KINDS = {"bargauge", "row", "stat", "state-timeline", "table", "timeseries"}
INSTANT_KINDS = {"bargauge", "stat", "table"}

IDENTITY = Settings().identity
TARGET = {*IDENTITY, "instance"}

ACCOUNT = {"account", "account_type"}
CONTRACT: dict[str, set[str]] = {
    **{
        f"bybit_asset_{name}": {*ACCOUNT, "coin"}
        for name in (
            *("borrowed", "accrued_interest", "unrealised_pnl", "initial_margin", "maintenance_margin"),
            *("free", "frozen", "withdrawing", "equity", "usd_value"),
        )
    },
    **{
        f"bybit_account_{name}": ACCOUNT
        for name in (
            *("equity_usd", "margin_balance_usd", "available_balance_usd", "unrealised_pnl_usd"),
            *("initial_margin_usd", "maintenance_margin_usd", "initial_margin_ratio", "maintenance_margin_ratio"),
        )
    },
    "bybit_account_risk_frozen_usd": {"account"},
    "bybit_api_key_withdraw": {"account"},
    "bybit_product_equity": {"account", "product", "category", "coin"},
    "bybit_product_equity_usd": {"account", "product"},
    "bybit_products_snapshot_timestamp_seconds": {"account"},
    "bybit_products_up": {"account"},
    "bybit_risk_frozen_up": {"account"},
    "bybit_subaccount_equity_up": {"account"},
    "bybit_subaccount_equity_usd": {"account", "subaccount", "wallet"},
    "bybit_api_request_duration_seconds": {"endpoint"},
}
"""Labels of metrics as the public interface states them."""
LABELS: dict[str, set[str]] = {
    **{name: {*labels, *TARGET} for name, labels in CONTRACT.items()},
    **{family.name: {*family.labels, *TARGET} for family in ALL_FAMILIES},
    "up": TARGET,
    "ALERTS": {"alertname", "alertstate", "severity", "account", "subaccount", "coin", *IDENTITY},
}
for histogram in ("bybit_api_request_duration_seconds",):
    LABELS[f"{histogram}_bucket"] = LABELS[histogram] | {"le"}
    LABELS[f"{histogram}_count"] = LABELS[histogram]

each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)


def process_metrics() -> set[str]:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return {sample.name for family in registry.collect() for sample in family.samples}


LABELS |= dict.fromkeys(process_metrics(), TARGET)


def panels(dashboard: Json) -> Iterator[Json]:
    return (panel for panel in dashboard["panels"] if panel["type"] != "row")


def expressions(dashboard: Json) -> Iterator[str]:
    """Everything in PromQL: of panels, annotations and variables."""
    for panel in panels(dashboard):
        yield from (target["expr"] for target in panel["targets"])
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            selector, _, label = variable["query"].removeprefix("label_values(").removesuffix(")").rpartition(", ")
            yield f"sum by ({label}) ({selector})"


def everything(value: Any) -> Iterator[Json]:
    """Every object within, however deep."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from everything(inner)


def test_there_are_no_other_dashboards_than_those_that_are_built() -> None:
    assert set(dashboards(Settings())) == set(DASHBOARDS)


def test_metrics_of_the_exporter_have_the_labels_of_the_interface() -> None:
    for family in ALL_FAMILIES:
        if family.name in CONTRACT:
            assert set(family.labels) == CONTRACT[family.name], family.name


def test_selector_of_the_settings_is_in_every_selector_of_a_metric() -> None:
    for dashboard in dashboards(Settings(selector='team="x"')).values():
        for expr in expressions(dashboard):
            for metric, labels in selectors(expr):
                assert "team" in labels or metric == "ALERTS", expr


def test_identity_of_the_settings_replaces_the_default_everywhere() -> None:
    for dashboard in dashboards(Settings(identity=("site",))).values():
        text = json.dumps(dashboard)
        assert "cluster" not in text
        assert "$site" in text
        names = [variable["name"] for variable in dashboard["templating"]["list"]]
        assert names[:3] == ["datasource", "site", "account"]
        for expr in expressions(dashboard):
            assert all("site" in labels for _, labels in selectors(expr)) or expr.startswith("sum by (site)"), expr


def test_thresholds_of_the_settings_are_the_limits_of_the_colours() -> None:
    levels = Levels(0.4, 0.7)
    built = dashboards(Settings(thresholds=Thresholds(maintenance_margin_ratio=levels)))["bybit-balances.json"]
    for panel in panels(built):
        if panel["title"].startswith("Maintenance margin ratio"):
            steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            assert [step["value"] for step in steps] in ([None, 0.4, 0.7, 1], [None, 0, 0.4, 0.7, 1])


@each_dashboard
def test_every_metric_is_of_the_clusters_namespaces_and_jobs_chosen(dashboard: Json) -> None:
    for panel in panels(dashboard):
        for target in panel["targets"]:
            for metric, labels in selectors(target["expr"]):
                assert set(IDENTITY) <= labels, f"{metric} in {target['expr']}"


@each_dashboard
def test_every_grouping_by_account_keeps_accounts_of_other_clusters_apart(dashboard: Json) -> None:
    for expr in expressions(dashboard):
        for listed in re.findall(r"\b(?:by|on) \(([^)]*)\)", expr):
            labels = listed.split(", ")
            if {"account", "instance"} & set(labels) and not expr.startswith("sum by (account)"):
                assert set(IDENTITY) <= set(labels), expr


@each_dashboard
def test_every_metric_exists_with_the_labels_by_which_it_is_selected(dashboard: Json) -> None:
    for expr in expressions(dashboard):
        named = list(selectors(expr))
        assert named, expr
        for metric, labels in named:
            assert metric in LABELS, f"{metric} in {expr}"
            assert labels <= LABELS[metric], f"{labels - LABELS[metric]} of {metric} in {expr}"


@each_dashboard
def test_every_label_by_which_is_grouped_or_joined_exists(dashboard: Json) -> None:
    for expr in expressions(dashboard):
        known = set().union(*(LABELS[metric] for metric, _ in selectors(expr))) | {"__name__"}
        for listed in re.findall(r"\b(?:by|on) \(([^)]*)\)", expr):
            assert set(listed.split(", ")) <= known, expr


@each_dashboard
def test_every_label_that_is_shown_is_one_of_the_query(dashboard: Json) -> None:
    for panel in panels(dashboard):
        for target in panel["targets"]:
            known = set().union(*(LABELS[metric] for metric, _ in selectors(target["expr"])))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= known, panel["title"]


@each_dashboard
def test_whatever_is_of_an_account_is_of_the_accounts_chosen(dashboard: Json) -> None:
    targets = [target for panel in panels(dashboard) for target in panel["targets"]]
    for query in [*targets, *dashboard["annotations"]["list"]]:
        if any("account" in LABELS[metric] for metric, _ in selectors(query["expr"])):
            assert 'account=~"$account' in query["expr"]


@each_dashboard
def test_whatever_is_of_a_coin_is_of_the_coins_chosen(dashboard: Json) -> None:
    for panel in panels(dashboard):
        for target in panel["targets"]:
            of_coins = re.search(r"\bby \([^)]*\bcoin\b", target["expr"])
            if of_coins and metrics(target["expr"]) != {"ALERTS"}:
                assert 'coin=~"$coin"' in target["expr"]


def test_the_check_of_metrics_finds_what_does_not_exist() -> None:
    expr = '60 * sum by (account) (rate(bybit_nil_total{account=~"$account", kind="x"}[1m])) or no_such and on (job) up'
    assert list(selectors(expr)) == [("bybit_nil_total", {"account", "kind"}), ("no_such", set()), ("up", set())]


@each_dashboard
def test_panels_have_ids_of_their_own_and_do_not_overlap(dashboard: Json) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = set(
            itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"]))
        )
        assert not cells & taken, panel["title"]
        taken |= cells


@each_dashboard
def test_every_panel_says_what_it_is_and_why_it_may_be_empty(dashboard: Json) -> None:
    for panel in panels(dashboard):
        assert panel["type"] in KINDS
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["noValue"]
        assert panel["fieldConfig"]["defaults"]["unit"]


@each_dashboard
def test_values_that_are_missing_have_no_colour_that_judges(dashboard: Json) -> None:
    """Grafana gives them the colour of the first step."""
    for panel in panels(dashboard):
        if panel["type"] in INSTANT_KINDS:
            steps = [part["steps"] for part in everything(panel["fieldConfig"]) if "steps" in part]
            assert {first["color"] for first, *_ in steps} <= {"text", "transparent"}, panel["title"]


@each_dashboard
def test_limits_below_zero_in_a_column_follow_a_number(dashboard: Json) -> None:
    """Grafana compares a first step of an override that has no value as if it were 0."""
    for panel in panels(dashboard):
        for part in everything(panel["fieldConfig"]["overrides"]):
            if any((step["value"] or 0) < 0 for step in part.get("steps", ())):
                assert part["steps"][0]["value"] is not None, panel["title"]


@each_dashboard
def test_no_data_source_is_named(dashboard: Json) -> None:
    named = [part["datasource"] for part in everything(dashboard) if "datasource" in part]
    assert named
    assert all(datasource == DATASOURCE for datasource in named)
    for panel in panels(dashboard):
        assert panel["targets"]
        assert all("datasource" in part for part in (panel, *panel["targets"]))
    [first, *others] = dashboard["templating"]["list"]
    assert (first["name"], first["type"], first["query"]) == ("datasource", "datasource", "prometheus")
    assert all(variable["datasource"] == DATASOURCE for variable in others)
    assert not {"__inputs", "__requires", "id"} & dashboard.keys()


@each_dashboard
def test_the_present_is_asked_for_at_this_moment(dashboard: Json) -> None:
    """Of a range, a tile or a row would show the last figure that there was."""
    for panel in panels(dashboard):
        instant = panel["type"] in INSTANT_KINDS
        assert all(target["instant"] is instant and target["range"] is not instant for target in panel["targets"])


@each_dashboard
def test_no_legend_states_the_last_figure_of_a_curve_that_may_have_ended(dashboard: Json) -> None:
    assert all(panel["options"]["legend"]["calcs"] == [] for panel in panels(dashboard) if "legend" in panel["options"])


def test_variables_take_several_values_or_all() -> None:
    for dashboard in DASHBOARDS.values():
        _, *chosen = dashboard["templating"]["list"]
        for variable in chosen:
            assert (variable["type"], variable["multi"], variable["includeAll"]) == ("query", True, True)
            assert variable["current"]["text"] == ["All"]
    names = [variable["name"] for variable in DASHBOARDS["bybit-balances.json"]["templating"]["list"]]
    assert names == ["datasource", *IDENTITY, "account", "wallet", "coin"]


def test_the_dashboards_lead_to_each_other() -> None:
    uids = {name.removesuffix(".json") for name in DASHBOARDS}
    assert {dashboard["uid"] for dashboard in DASHBOARDS.values()} == uids
    for dashboard in DASHBOARDS.values():
        [link] = dashboard["links"]
        assert {link["url"]} == {f"/d/{uid}" for uid in uids - {dashboard["uid"]}}
        assert link["keepTime"]
        assert link["includeVars"]
        cells = [part["url"] for part in everything(dashboard["panels"]) if "url" in part]
        assert cells
        assert all(url.startswith(link["url"] + "?") for url in cells)


def test_a_ban_is_red_and_what_is_not_known_is_amber() -> None:
    dashboard = DASHBOARDS["bybit-balances.json"]
    status = [panel for panel in panels(dashboard) if panel["title"].startswith("Status")]
    assert {panel["type"] for panel in status} == {"stat", "state-timeline"}
    for panel in status:
        [mapping] = panel["fieldConfig"]["defaults"]["mappings"]
        colors = {text["text"].lower(): text["color"] for text in mapping["options"].values()}
        assert colors == {"normal": "green", "banned": "red", "unknown": "orange", "no answer": "orange"}


@each_dashboard
def test_tables_are_sorted_by_a_column_that_they_have(dashboard: Json) -> None:
    for panel in panels(dashboard):
        for sorting in panel["options"].get("sortBy", ()):
            [_, organize] = panel["transformations"]
            assert sorting["displayName"] in organize["options"]["renameByName"].values()
            assert sorting["desc"]


def test_subaccounts_that_are_not_normal_come_first_and_in_red() -> None:
    [table] = [panel for panel in panels(DASHBOARDS["bybit-balances.json"]) if panel["title"] == "Subaccounts"]
    [override] = [each for each in table["fieldConfig"]["overrides"] if each["matcher"]["options"] == "Status"]
    [[mapping]] = [part["value"] for part in override["properties"] if part["id"] == "mappings"]
    by_rank = [(text["text"].lower(), text["color"]) for _, text in sorted(mapping["options"].items(), reverse=True)]
    assert by_rank == [
        ("frozen", "red"),
        ("login banned", "red"),
        ("unknown", "orange"),
        ("normal", "green"),
        ("no answer", "orange"),
    ]
    assert table["options"]["sortBy"] == [{"displayName": "Status", "desc": True}]


def test_figures_of_unified_accounts_that_are_not_stated_are_called_so() -> None:
    [table] = [panel for panel in panels(DASHBOARDS["bybit-balances.json"]) if panel["title"] == "Margin by account"]
    shown = {
        each["matcher"]["options"]: {part["id"]: part["value"] for part in each["properties"]}
        for each in table["fieldConfig"]["overrides"]
    }
    labels = {"Account", "Cluster", "Namespace"}
    assert len(shown.keys() - labels) == 7
    assert {column["noValue"] for title, column in shown.items() if title not in labels} == {"not stated"}


def test_balances_are_shown_with_every_digit() -> None:
    exact = {"Free", "Frozen", "Withdrawing", "Equity"}
    for table in panels(DASHBOARDS["bybit-balances.json"]):
        if table["title"] in {"Balances now", "Balances of subaccounts"}:
            for override in table["fieldConfig"]["overrides"]:
                properties = {part["id"]: part["value"] for part in override["properties"]}
                if override["matcher"]["options"] in exact:
                    assert (properties["unit"], properties["decimals"]) == ("locale", 18)
