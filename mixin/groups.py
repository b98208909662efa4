"""The groups of rules, made of the files in ``mixin/rules/`` and the settings.

In the files, ``<<name>>`` stands for a setting. ``<<exporter>>``: the identity labels. ``<<account>>``: these and
``account``. A threshold's name: its value for the alert's severity, in a recorded rule the lowest. ``for`` has a
duration for each severity.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from .settings import SEVERITIES, Levels, Settings, SettingsError, Thresholds

FOLDER = Path(__file__).parent / "rules"
GROUPS = (
    "watchdog",
    "accounts",
    "status",
    "polls",
    "readings",
    "keys",
    "margin",
    "exporter",
    "shards",
    "withdrawals",
    "balances",
    "balance_falls",
)
"""The files in the order in which the groups are written."""

_PLACEHOLDER = re.compile(r"<<(\w+)>>")
_METRIC = re.compile(
    r"""
    "(?:\\.|[^"\\])*"           # a text, which is left alone
    | \#[^\n]*                  # a comment, likewise
    | (?<![\w:])(?P<name>bybit_\w+|up)(?![\w:])(?P<brace>\{)?
    """,
    re.VERBOSE,
)

Rule = dict[str, Any]
Group = dict[str, Any]


def groups(settings: Settings) -> list[Group]:
    """The groups as Prometheus takes them.

    Raises:
        SettingsError: if the settings name an alert or a severity that does not exist.
    """
    sources = [yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")) for name in GROUPS]
    _check_names(settings, sources)
    return [_group(source, settings) for source in sources]


def _check_names(settings: Settings, sources: list[Group]) -> None:
    alerts = {rule["alert"]: rule["for"] for source in sources for rule in source["rules"] if "alert" in rule}
    for path, names in (("disabled", settings.disabled), ("wait", settings.wait)):
        for name in sorted(set(names) - alerts.keys()):
            raise SettingsError(f"{path}: there is no {name!r}")
    for name, waits in settings.wait.items():
        for severity in sorted(waits.keys() - alerts[name].keys()):
            raise SettingsError(f"wait.{name}: this alert has no severity {severity!r}")


def _group(source: Group, settings: Settings) -> Group:
    interval = _filled(source.get("interval", ""), settings, "")
    return {
        "name": source["name"],
        **({"interval": interval} if interval else {}),
        "rules": [rule for each in source["rules"] for rule in _rules(each, settings)],
    }


def _rules(source: Rule, settings: Settings) -> Iterator[Rule]:
    """The rules of one entry: one that records, or an alert for each of its severities."""
    if "record" in source:
        yield {"record": source["record"], "expr": _expression(source["expr"], settings, "")}
    elif source["alert"] not in settings.disabled:
        for severity, default in source["for"].items():
            wait = settings.wait.get(source["alert"], {}).get(severity, default)
            yield _alert(source, severity, wait, settings)


def _alert(source: Rule, severity: str, wait: str, settings: Settings) -> Rule:
    rule: Rule = {"alert": source["alert"], "expr": _expression(source["expr"], settings, severity)}
    if wait != "0s":
        rule["for"] = wait
    if "keep_firing_for" in source:
        rule["keep_firing_for"] = source["keep_firing_for"]
    rule["labels"] = {"severity": severity}
    rule["annotations"] = {
        "summary": _filled(source["summary"], settings, severity),
        "description": _filled(source["description"], settings, severity),
        "runbook_url": f"{settings.runbook_url}#{source['alert'].lower()}",
    }
    return rule


def _expression(text: str, settings: Settings, severity: str) -> str:
    return with_selector(_filled(text, settings, severity), settings.selector)


def _filled(text: str, settings: Settings, severity: str) -> str:
    """The text with the values of the settings in place of their names."""
    values = _values(settings, severity)
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


def _values(settings: Settings, severity: str) -> Mapping[str, str]:
    values = {
        "exporter": ", ".join(settings.identity),
        "account": ", ".join((*settings.identity, "account")),
        "exporter_jobs": settings.exporter_jobs,
        "status_interval": settings.status_interval,
        "balances_interval": settings.balances_interval,
    }
    for name in Thresholds.__struct_fields__:
        threshold = getattr(settings.thresholds, name)
        if not isinstance(threshold, Levels):
            values[name] = f"{threshold:g}"
        elif severity in SEVERITIES:
            values[name] = f"{getattr(threshold, severity):g}"
        else:
            values[name] = f"{min(threshold.warning, threshold.critical):g}"
    return values


def with_selector(expression: str, selector: str) -> str:
    """The expression with these matchers in the selector of every metric; recorded series are left alone."""
    if not selector:
        return expression

    def added(match: re.Match[str]) -> str:
        if match["name"] is None:
            return match[0]
        return f"{match['name']}{{{selector}" + (", " if match["brace"] else "}")

    return _METRIC.sub(added, expression)
