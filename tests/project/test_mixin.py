"""The generator of rules and dashboards, and the settings that it takes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mixin.files import ALERTS, PROMETHEUS_RULE, files
from mixin.groups import groups, with_selector
from mixin.settings import Settings, SettingsError, from_mapping
from tests.support import require_real

ROOT = Path(__file__).parent.parent.parent
DOCUMENTED = re.search(r"```yaml\n(# Matchers.*?)```", (ROOT / "docs" / "alerts.md").read_text(), re.DOTALL)

OWN: dict[str, Any] = {
    "selector": 'cluster=~"eu|us", job="bybit"',
    "identity": ["cluster", "team", "namespace", "job"],
    "exporter_jobs": "money",
    "runbook_url": "https://wiki.example.org/bybit",
    "thresholds": {"maintenance_margin_ratio": {"warning": 0.3, "critical": 0.6}, "free_balance_fall": 0.8},
    "status_interval": "3s",
    "balances_interval": "30s",
    "wait": {"BybitPollsFailing": {"warning": "30m"}, "BybitKeyNotChecked": {"warning": "0s"}},
    "disabled": ["BybitShardDoubled", "BybitPricesNotRead"],
}


def alert(settings: Settings, name: str, severity: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [
        rule
        for group in groups(settings)
        for rule in group["rules"]
        if rule.get("alert") == name and rule["labels"]["severity"] == severity
    ]
    [rule] = found
    return rule


def test_committed_files_are_generated_with_the_defaults() -> None:
    """If they are not: make mixin."""
    for path, text in files(Settings()).items():
        assert (ROOT / path).read_text() == text, f"{path} is not what `make mixin` writes"


def test_settings_documented_in_alerts_md_are_valid_and_complete() -> None:
    assert DOCUMENTED is not None
    given = yaml.safe_load(DOCUMENTED[1])
    settings = from_mapping(given)
    groups(settings)
    assert given.keys() == set(Settings.__struct_fields__)
    defaults = Settings()
    for name in ("identity", "exporter_jobs", "runbook_url", "thresholds", "balances_interval", "disabled"):
        assert getattr(settings, name) == getattr(defaults, name)


def test_settings_of_ones_own_give_valid_files(tmp_path: Path) -> None:
    require_real(shutil.which("promtool") is not None, "prometheus (apt-get install)")
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(OWN))
    command = [sys.executable, "-m", "mixin", f"--settings={tmp_path}/settings.yaml", f"--output={tmp_path}"]
    subprocess.run(command, check=True, cwd=ROOT)
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.suffix in (".yml", ".json")} >= {
        Path(ALERTS),
        Path("grafana/dashboards/bybit-balances.json"),
    }
    subprocess.run(["promtool", "check", "rules", "--lint=all", "--lint-fatal", tmp_path / ALERTS], check=True)
    rule = yaml.safe_load((tmp_path / PROMETHEUS_RULE).read_text())
    assert rule["spec"] == yaml.safe_load((tmp_path / ALERTS).read_text())


def test_settings_change_the_rules() -> None:
    settings = from_mapping(OWN)
    liquidation = alert(settings, "BybitLiquidationNear", "critical")
    assert "bybit:maintenance_margin_ratio[6h]) > 0.6" in liquidation["expr"]
    [recorded] = [
        rule["expr"]
        for group in groups(settings)
        for rule in group["rules"]
        if rule.get("record") == "bybit:maintenance_margin_ratio"
    ]
    assert recorded.count(" > 0.3") == 2
    assert (
        'max by (cluster, team, namespace, job, account) (bybit_up{cluster=~"eu|us", job="bybit"}) == 1'
    ) in liquidation["expr"]
    assert liquidation["annotations"]["runbook_url"] == "https://wiki.example.org/bybit#bybitliquidationnear"
    assert alert(settings, "BybitPollsFailing", "warning")["for"] == "30m"
    assert alert(settings, "BybitPollsFailing", "critical")["for"] == "1h"
    assert "for" not in alert(settings, "BybitKeyNotChecked", "warning")
    text = str(groups(settings))
    assert "BybitShardDoubled" not in text
    assert 'up{cluster=~"eu|us", job="bybit", job=~"money"}' in text
    intervals = {group["name"]: group.get("interval") for group in groups(settings)}
    assert intervals["bybit-status"] == "3s"
    assert intervals["bybit-balances"] == intervals["bybit-balance-falls"] == "30s"


def test_selector_is_added_to_every_metric_and_to_nothing_else() -> None:
    expression = (
        'bybit_up{account="up"} == 0 # bybit_up\n'
        "unless on (job) up\nand bybit:account_up\n+ rate(bybit_polls_total[5m])"
    )
    assert with_selector(expression, 'job="x"') == (
        'bybit_up{job="x", account="up"} == 0 # bybit_up\nunless on (job) up{job="x"}\nand bybit:account_up\n'
        '+ rate(bybit_polls_total{job="x"}[5m])'
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"selectors": "x"}, "unknown field `selectors`"),
        ({"thresholds": {"clock": 1}}, "unknown field `clock` - at `$.thresholds`"),
        ({"thresholds": {"clock_offset_seconds": "1s"}}, "got `str` - at `$.thresholds.clock_offset_seconds`"),
        ({"thresholds": {"maintenance_margin_ratio": {"warning": 0.5}}}, "missing required field `critical`"),
        ({"wait": {"BybitAccountBanned": {"page": "5m"}}}, "wait.BybitAccountBanned: this alert has no severity"),
        ({"wait": {"BybitAccountBanned": {"critical": "soon"}}}, "wait.BybitAccountBanned.critical: 'soon' is not"),
        ({"wait": {"BybitAccountBanned": {"warning": "5m"}}}, "wait.BybitAccountBanned: this alert has no severity"),
        ({"wait": {"BybitBanned": {"critical": "5m"}}}, "wait: there is no 'BybitBanned'"),
        ({"disabled": ["BybitBanned"]}, "disabled: there is no 'BybitBanned'"),
        ({"disabled": "BybitAccountBanned"}, "Expected `array`, got `str` - at `$.disabled`"),
        ({"identity": ["job", "a-b"]}, "identity: 'a-b' is not a label name"),
        ({"identity": ["job", "instance"]}, "identity: instance, pod and node change"),
        ({"balances_interval": 60}, "Expected `str`, got `int` - at `$.balances_interval`"),
        (["selector"], "Expected `object`, got `array`"),
    ],
)
def test_wrong_settings_are_refused_with_their_key(content: Any, problem: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(problem)):
        groups(from_mapping(content))


def test_files_of_the_repository_are_not_overwritten_with_other_settings(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("selector: x")
    command = [sys.executable, "-m", "mixin", f"--settings={tmp_path}/settings.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "need --output" in done.stderr
