"""The alert rules and what goes with them, checked by Prometheus's and Alertmanager's own tools."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bybit_exporter import durations
from bybit_exporter.bybit.errors import PAUSE_ALL_SECONDS, SLOW_RETRY_SECONDS
from bybit_exporter.model import FailureReason
from mixin.settings import Settings
from tests.families import ALL_FAMILIES
from tests.support import require_real
from tools.alerts import RULES, RUNBOOKS, Rule, rules

ROOT = Path(__file__).parent.parent.parent
PROMETHEUS = ROOT / "prometheus"
ALERTMANAGER = ROOT / "alertmanager" / "alertmanager.yml"
SETTINGS = Settings()

LONGEST_POLL_INTERVAL_SECONDS = 120.0
"""As docs/alerts.md promises."""

OF_THE_INTERFACE = {
    "bybit_account_maintenance_margin_ratio",
    "bybit_account_risk_frozen_usd",
    "bybit_api_key_withdraw",
    "bybit_asset_borrowed",
    "bybit_products_up",
    "bybit_risk_frozen_up",
    "bybit_subaccount_equity_up",
}
"""Metrics that may not be in the table of families yet."""

ALL_RULES: list[Rule] = [
    rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
RECORDED = {rule["record"] for rule in ALL_RULES if "record" in rule}
WITHOUT_IDENTITY = {"account, coin", "account"}
"""Minimum balances are rules of the user, which need no cluster, namespace or job."""


ALERTS = rules()
NAMES = list(dict.fromkeys(rule["alert"] for rule in ALERTS))
TESTS: list[dict[str, Any]] = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
FIRING = '(ALERTS{alertstate="firing",alertname!="BybitWatchdog"}'
FOR_ALL = ("healthy", "one failed poll", "rolling restart")

each_rule = pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
each_alert = pytest.mark.parametrize("name", [name for name in NAMES if name != "BybitWatchdog"])
every_rule = pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.get("alert", rule.get("record")))


def run(program: str, *arguments: str | Path) -> str:
    require_real(shutil.which(program) is not None, "prometheus prometheus-alertmanager (Debian)")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def metrics_in(expressions: Iterable[str]) -> set[str]:
    return {name for text in expressions for name in re.findall(r"\bbybit[:_]\w+|\bup\b(?=[{ ])", text)}


def expression(rule: Rule) -> str:
    """Without what stands in quotes and comments."""
    return re.sub(r'"[^"]*"|#.*', "", rule["expr"])


def reasons(rule: Rule) -> set[str]:
    """The reasons that the rule names."""
    found = re.findall(r'reason=~?"([^"]+)"', rule["expr"])
    return {reason for alternatives in found for reason in alternatives.split("|")}


def test_rules_are_valid() -> None:
    run("promtool", "check", "rules", "--lint=all", "--lint-fatal", RULES)


@pytest.mark.parametrize("file", ["alerts_test.yml", "situations_test.yml"])
def test_rules_do_what_their_rule_tests_say(file: str) -> None:
    run("promtool", "test", "rules", PROMETHEUS / file)


@every_rule
def test_rule_aggregates_by_what_an_account_is(rule: Rule) -> None:
    """By the identity labels of the settings, and never without some labels."""
    text = expression(rule)
    assert not re.search(r"\b(without|ignoring)\b", text)
    assert not re.search(r"\b(sum|max|min|avg|count|group|count_values)\s*\(", text), "an aggregation has no labels"
    identity = ", ".join(SETTINGS.identity)
    for keyword, labels in re.findall(r"\b(by|on)\s*\(([^)]*)\)", text):
        assert labels.startswith(identity) or labels in WITHOUT_IDENTITY, f"{keyword} ({labels})"
    if WITHOUT_IDENTITY & {labels for _, labels in re.findall(r"\b(by|on)\s*\(([^)]*)\)", text)}:
        assert "bybit:asset_free_min" in text


def test_configuration_of_prometheus_is_valid_and_loads_the_rules() -> None:
    assert f"{len(ALL_RULES)} rules found" in run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")


def test_the_example_of_thresholds_is_loaded_once_it_is_copied(tmp_path: Path) -> None:
    copies = shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    shutil.copy(copies / "thresholds.example.yml", copies / "thresholds.yml")
    assert "2 rule files found" in run("promtool", "check", "config", copies / "prometheus.yml")


def test_the_configuration_of_alertmanager_is_valid_and_holds_no_secret() -> None:
    run("amtool", "check-config", ALERTMANAGER)
    for key, value in re.findall(
        r"(\w*(?:password|credentials|secret|token|key)\w*): *(\S+)", ALERTMANAGER.read_text()
    ):
        assert key.endswith("_file"), key
        assert value.startswith("/run/secrets/")


@each_rule
def test_bans_and_near_liquidations_page_and_the_rest_is_mailed(rule: Rule) -> None:
    name, severity = rule["alert"], rule["labels"]["severity"]
    labels = [f"alertname={name}", f"severity={severity}", "job=bybit", "account=main"]
    receiver = run("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", *labels).split()
    paging = ("BybitAccountBanned", "BybitAccountRefused", "BybitSubaccountBanned", "BybitLiquidationNear")
    paged = severity == "critical" and name in paging
    assert receiver == ["outside" if name == "BybitWatchdog" else "page" if paged else "mail"]


def test_inhibitions_and_routes_tell_clusters_apart() -> None:
    config = yaml.safe_load(ALERTMANAGER.read_text())
    routes = [config["route"], *(route for route in config["route"]["routes"] if "group_by" in route)]
    for labels in [*(rule["equal"] for rule in config["inhibit_rules"]), *(route["group_by"] for route in routes)]:
        assert set(SETTINGS.identity) <= set(labels)


def test_inhibitions_name_alerts_that_exist() -> None:
    inhibitions = yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]
    matchers = [
        matcher for rule in inhibitions for side in ("source", "target") for matcher in rule[f"{side}_matchers"]
    ]
    patterns = [match[1] for matcher in matchers if (match := re.match(r'alertname =~? "?([^"]+)"?$', matcher))]
    assert patterns
    for pattern in patterns:
        prefix, _, alternatives = pattern.rstrip(")").partition("(")
        assert {prefix + alternative for alternative in alternatives.split("|")} <= set(NAMES)


@each_rule
def test_every_alert_says_what_it_is_about_and_what_to_do(rule: Rule) -> None:
    assert rule["labels"]["severity"] in (["none"] if rule["alert"] == "BybitWatchdog" else ["warning", "critical"])
    annotations = rule["annotations"]
    assert set(annotations) == {"summary", "description", "runbook_url"}
    assert annotations["runbook_url"] == f"{SETTINGS.runbook_url}#{rule['alert'].lower()}"
    if "account" in rule["expr"]:
        assert "$labels.account " in annotations["summary"]


@each_rule
def test_no_notification_states_an_amount(rule: Rule) -> None:
    """Balances are private, and notifications pass through mail servers and pagers."""
    shown = str((rule["labels"], rule["annotations"]))
    allowed = "(sub)?account|coin|job|instance|endpoint|shard|total_shards"
    assert not re.search(rf"\$value|\.Value|query|\$labels\.(?!({allowed}) )", shown)


def test_critical_alert_that_follows_a_warning_says_the_same() -> None:
    """Alertmanager withdraws the warning, and no information is lost with it."""
    for name in NAMES:
        first, *later = [rule for rule in ALERTS if rule["alert"] == name]
        for second in later:
            assert [rule["labels"]["severity"] for rule in (first, second)] == ["warning", "critical"]
            texts = [re.sub(r"\d[\d.]*", "", str((rule["expr"], rule["annotations"]))) for rule in (first, second)]
            assert texts[0] == texts[1]
            if first["expr"] == second["expr"]:
                assert durations.parse(second["for"]) > durations.parse(first["for"])


def test_rules_and_their_tests_know_only_metrics_that_exist() -> None:
    exposed = {family.name for family in ALL_FAMILIES} | {"up", "bybit:asset_free_min"}
    exposed |= RECORDED | OF_THE_INTERFACE
    tested = [series["series"] for group in TESTS for series in group["input_series"]]
    assert metrics_in(map(expression, ALL_RULES)) <= exposed
    assert metrics_in(tested) <= exposed


def test_every_reason_of_a_failure_belongs_to_one_alert() -> None:
    by_name = {rule["alert"]: rule for rule in ALERTS}
    credentials, limits = reasons(by_name["BybitCredentialsRefused"]), reasons(by_name["BybitLimitsExceeded"])
    assert credentials == {"auth", "account_mode", "region"}
    assert limits == {"rate_limit"}
    assert reasons(by_name["BybitPollsFailing"]) == credentials | limits | {"banned"}  # all but these
    recorded = {rule["record"]: rule for rule in ALL_RULES if "record" in rule}
    assert reasons(recorded["bybit:poll_failures_20m"]) == credentials | limits | {"banned"}
    assert reasons(recorded["bybit:address_blocked"]) == {"ip_rate_limit"}
    for name in ("BybitLimitsExceeded", "BybitPollsFailing"):
        assert "bybit:address_blocked" in by_name[name]["expr"]
    assert reasons(recorded["bybit:account_refused"]) == {"account_mode"}  # Alertmanager shows one of the two
    assert credentials | limits | {"banned", "ip_rate_limit"} <= set(FailureReason)


@each_alert
def test_alerts_on_polls_outlast_the_wait_after_one_failure(name: str) -> None:
    """One failure must not fire, and the next must come before the first is forgotten."""
    for rule in (rule for rule in ALERTS if rule["alert"] == name and "bybit:poll_failures_20m" in rule["expr"]):
        wait = PAUSE_ALL_SECONDS if name == "BybitLimitsExceeded" else SLOW_RETRY_SECONDS
        assert durations.parse(rule["for"]) > wait + LONGEST_POLL_INTERVAL_SECONDS
    if name == "BybitAccountRefused":
        [refused] = [rule for rule in ALL_RULES if rule.get("record") == "bybit:account_refused"]
        assert 'bybit:poll_failures_20m{reason="account_mode"} > 1.5' in refused["expr"]  # it counts two refusals
    for rule in (rule for rule in ALL_RULES if "increase(" in rule["expr"]):
        windows = re.findall(r"\[(\w+)\]", rule["expr"])
        assert all(durations.parse(window) > PAUSE_ALL_SECONDS + LONGEST_POLL_INTERVAL_SECONDS for window in windows)


@each_rule
def test_alert_on_another_reading_outlasts_one_failure(rule: Rule) -> None:
    """And fires before an alert on the figures of that reading ends."""
    names = {name for name in metrics_in([expression(rule)]) if re.fullmatch(r"bybit_\w+_up", name)}
    if names:
        assert durations.parse(rule["for"]) > PAUSE_ALL_SECONDS + LONGEST_POLL_INTERVAL_SECONDS
        assert "bybit:account_up[" in rule["expr"] or "bybit_up[" in rule["expr"], "the alerts on polls name the cause"
    if "bybit_withdrawals_up" in names:
        [under_way] = [each for each in ALERTS if each["alert"] == "BybitWithdrawalUnderWay"]
        assert durations.parse(rule["for"]) <= durations.parse(under_way["keep_firing_for"])


@each_alert
def test_every_alert_is_tested_to_fire_and_to_resolve(name: str) -> None:
    severities = {rule["labels"]["severity"] for rule in ALERTS if rule["alert"] == name}
    cases = [
        [case for case in group.get("alert_rule_test", []) if case["alertname"] == name]
        for group in TESTS
        if group["name"].partition(":")[0] == name
    ]
    fired = {alert["exp_labels"]["severity"] for group in cases for case in group for alert in case["exp_alerts"]}
    assert fired == severities
    for group in filter(None, cases):
        assert not group[-1]["exp_alerts"], "it ends without having resolved"
    assert any(not group[0]["exp_alerts"] for group in cases if group), "it never begins without firing"


@each_alert
def test_every_alert_is_tested_to_fire_alone(name: str) -> None:
    """Or with what else such a state calls for, which the test then says."""
    looks = [
        look["exp_samples"]
        for group in TESTS
        if group["name"].partition(":")[0] == name
        for look in group.get("promql_expr_test", [])
        if look["expr"].endswith(f"{FIRING})")
    ]
    assert any(f'"{name}"' in str(samples) for samples in looks)
    assert [] in looks


def test_all_alerts_are_tested_not_to_fire_when_they_should_not() -> None:
    by_name = {group["name"]: group for group in TESTS}
    for name in FOR_ALL:
        (look,) = by_name[name]["promql_expr_test"]
        assert f"max_over_time{FIRING}[" in look["expr"]
        assert look["eval_time"] in look["expr"]  # from the beginning
        assert look["exp_samples"] == []


def test_the_healthy_exporter_of_the_tests_exposes_all_that_the_rules_look_at() -> None:
    (healthy,) = [group for group in TESTS if group["name"] == "healthy"]
    assert metrics_in(series["series"] for series in healthy["input_series"]) | RECORDED >= metrics_in(
        map(expression, ALL_RULES)
    )


@each_rule
def test_address_of_the_runbook_has_a_heading(rule: Rule) -> None:
    """Headings get their name in lower case as an id, on GitHub and in the exporter's page of runbooks."""
    headings = re.findall(r"^## (\w+)$", RUNBOOKS.read_text(), flags=re.MULTILINE)
    page, _, fragment = rule["annotations"]["runbook_url"].partition("#")
    assert page == "http://localhost:9836/-/runbooks"
    assert fragment in [heading.lower() for heading in headings]


def test_every_alert_has_a_section_in_the_runbooks() -> None:
    text = RUNBOOKS.read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[2:]
    assert [section.partition("\n")[0] for section in sections] == NAMES
    assert all(f"| [{name}](#{name.lower()}) |" in text for name in NAMES)
    for section in sections:
        for part in ("**Means:**", "**See:**", "**At night:**", "**In the morning:**"):
            assert section.count(part) == 1, section


def test_the_queries_in_the_runbooks_are_valid(tmp_path: Path) -> None:
    seen = re.findall(r"^\*\*See:\*\*(.*?)\n\n", RUNBOOKS.read_text(), flags=re.MULTILINE | re.DOTALL)
    queries = [query for text in seen for query in re.findall(r"`([^`]*(?:bybit|up\{)[^`]*)`", " ".join(text.split()))]
    assert len(queries) >= len(NAMES)
    file = tmp_path / "queries.yml"
    recorded = [{"record": f"query:{index}", "expr": query} for index, query in enumerate(queries)]
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}))
    run("promtool", "check", "rules", file)
