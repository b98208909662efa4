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
from bybit_exporter.metrics.families import ALL_FAMILIES
from bybit_exporter.model import FailureReason
from tests.support import require_real
from tools.alerts import DOCUMENTS, RULES, RUNBOOKS, Rule, current, rules

ROOT = Path(__file__).parent.parent.parent
PROMETHEUS = ROOT / "prometheus"
ALERTMANAGER = ROOT / "alertmanager" / "alertmanager.yml"
RUNBOOK_BASE = "https://runbooks.example.invalid/bybit-exporter.md"

LONGEST_POLL_INTERVAL_SECONDS = 120.0
"""As alerts.yml and runbooks.md promise."""

ALERTS = rules()
NAMES = list(dict.fromkeys(rule["alert"] for rule in ALERTS))
TESTS: list[dict[str, Any]] = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
FOR_ALL = ("healthy", "one failed poll", "rolling restart")

each_rule = pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
each_alert = pytest.mark.parametrize("name", NAMES)


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


def test_the_rules_are_valid_and_do_what_their_unit_tests_say() -> None:
    run("promtool", "check", "rules", "--lint=all", "--lint-fatal", RULES)
    run("promtool", "test", "rules", PROMETHEUS / "alerts_test.yml")


def test_the_configuration_of_prometheus_is_valid_and_loads_the_rules() -> None:
    assert f"{len(ALERTS)} rules found" in run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")


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
def test_a_ban_pages_and_the_rest_is_mailed(rule: Rule) -> None:
    labels = [f"alertname={rule['alert']}", f"severity={rule['labels']['severity']}", "job=bybit", "account=main"]
    receiver = run("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", *labels).split()
    assert receiver == (["page"] if rule["alert"] in ("BybitAccountBanned", "BybitSubaccountBanned") else ["mail"])


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
    assert rule["labels"]["severity"] in ("warning", "critical")
    annotations = rule["annotations"]
    assert set(annotations) == {"summary", "description", "runbook_url"}
    assert annotations["runbook_url"] == f"{RUNBOOK_BASE}#{rule['alert'].lower()}"
    about_an_account = "account" in rule["expr"] or "without (instance" in rule["expr"]
    if about_an_account and not re.match("Bybit(ExporterDown|Shard)", rule["alert"]):
        assert "$labels.account " in annotations["summary"]


@each_rule
def test_no_notification_states_an_amount(rule: Rule) -> None:
    """Balances are private, and notifications pass through mail servers and pagers."""
    shown = str((rule["labels"], rule["annotations"]))
    allowed = "(sub)?account|coin|job|instance|endpoint|shard|total_shards"
    assert not re.search(rf"\$value|\.Value|query|\$labels\.(?!({allowed}) )", shown)


def test_a_critical_alert_that_follows_a_warning_differs_in_nothing_but_one_number() -> None:
    """How long it has gone on, or what is left: Alertmanager takes the warning back, and nobody misses it."""
    for name in NAMES:
        first, *later = [rule for rule in ALERTS if rule["alert"] == name]
        for second in later:
            assert [rule["labels"]["severity"] for rule in (first, second)] == ["warning", "critical"]
            numbers = [re.findall(r"\d+", str({**rule, "labels": {}})) for rule in (first, second)]
            texts = [re.sub(r"\d+\w*", "", str({**rule, "labels": {}})) for rule in (first, second)]
            assert texts[0] == texts[1]
            assert len({pair for pair in zip(*numbers, strict=True) if pair[0] != pair[1]}) == 1
            assert durations.parse(second["for"]) >= durations.parse(first["for"])


def test_rules_and_their_tests_know_only_metrics_that_exist() -> None:
    exposed = {family.name for family in ALL_FAMILIES} | {"up", "bybit:asset_free_min"}
    tested = [series["series"] for group in TESTS for series in group["input_series"]]
    assert metrics_in(map(expression, ALERTS)) <= exposed
    assert metrics_in(tested) <= exposed


def test_every_reason_of_a_failure_belongs_to_one_alert() -> None:
    by_name = {rule["alert"]: rule for rule in ALERTS}
    credentials, limits = reasons(by_name["BybitCredentialsRefused"]), reasons(by_name["BybitLimitsExceeded"])
    assert credentials == {"auth", "account_mode", "region"}
    assert limits == {"rate_limit", "ip_rate_limit"}
    assert reasons(by_name["BybitPollsFailing"]) == credentials | limits | {"banned"}  # all but these
    assert credentials | limits | {"banned"} <= set(FailureReason)


@each_alert
def test_alerts_on_polls_outlast_the_wait_after_one_failure(name: str) -> None:
    """One failure must not fire, and the next must come before the first is forgotten."""
    for rule in (rule for rule in ALERTS if rule["alert"] == name and "increase(" in rule["expr"]):
        wait = PAUSE_ALL_SECONDS if name == "BybitLimitsExceeded" else SLOW_RETRY_SECONDS
        assert durations.parse(rule["for"]) > wait + LONGEST_POLL_INTERVAL_SECONDS
        windows = re.findall(r"(?:\[|offset )(\w+)", rule["expr"])
        assert all(durations.parse(window) > PAUSE_ALL_SECONDS + LONGEST_POLL_INTERVAL_SECONDS for window in windows)


@each_rule
def test_alerts_on_what_is_read_beside_the_balances_outlast_one_failure(rule: Rule) -> None:
    """And come before an alert on the figures ends that they bring."""
    names = {name for name in metrics_in([expression(rule)]) if re.fullmatch(r"bybit_\w+_up", name)}
    if names:
        assert durations.parse(rule["for"]) > PAUSE_ALL_SECONDS + LONGEST_POLL_INTERVAL_SECONDS
        assert "and on (job, " in rule["expr"], "the alerts on polls say why the account is not read at all"
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
        if look["expr"].endswith('(ALERTS{alertstate="firing"})')
    ]
    assert any(f'"{name}"' in str(samples) for samples in looks)
    assert [] in looks


def test_all_alerts_are_tested_not_to_fire_when_they_should_not() -> None:
    by_name = {group["name"]: group for group in TESTS}
    for name in FOR_ALL:
        (look,) = by_name[name]["promql_expr_test"]
        assert 'max_over_time(ALERTS{alertstate="firing"}[' in look["expr"]
        assert look["eval_time"] in look["expr"]  # from the beginning
        assert look["exp_samples"] == []


def test_the_healthy_exporter_of_the_tests_exposes_all_that_the_rules_look_at() -> None:
    (healthy,) = [group for group in TESTS if group["name"] == "healthy"]
    assert metrics_in(series["series"] for series in healthy["input_series"]) >= metrics_in(map(expression, ALERTS))


def test_every_alert_has_a_section_in_the_runbooks() -> None:
    text = RUNBOOKS.read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[2:]
    assert [section.partition("\n")[0] for section in sections] == NAMES
    for section in sections:
        for part in ("**Means:**", "**See:**", "**At night:**", "**In the morning:**"):
            assert section.count(part) == 1, section
    assert RUNBOOK_BASE in text


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_table_of_alerts_in_the_documentation_is_current(document: Path) -> None:
    if not document.exists():
        pytest.skip(f"there is no {document.name}")
    assert document.read_text() == current(document), "run: python -m tools.alerts"
    if document == RUNBOOKS:
        assert all(f"| [{name}](#{name.lower()}) |" in document.read_text() for name in NAMES)


def test_the_queries_in_the_runbooks_are_valid(tmp_path: Path) -> None:
    seen = re.findall(r"^\*\*See:\*\*(.*?)\n\n", RUNBOOKS.read_text(), flags=re.MULTILINE | re.DOTALL)
    queries = [query for text in seen for query in re.findall(r"`([^`]*(?:bybit|up\{)[^`]*)`", " ".join(text.split()))]
    assert len(queries) >= len(NAMES)
    file = tmp_path / "queries.yml"
    recorded = [{"record": f"query:{index}", "expr": query} for index, query in enumerate(queries)]
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}))
    run("promtool", "check", "rules", file)
