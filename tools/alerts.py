"""The tables of alerts in the documents."""

from __future__ import annotations

import re
from functools import partial
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

import yaml

from tools.documents import Tables, table

ROOT = Path(__file__).parent.parent
RULES = ROOT / "prometheus" / "alerts.yml"
RUNBOOKS = ROOT / "docs" / "runbooks.md"
OVERVIEW = ROOT / "docs" / "alerts.md"

_OPTIONAL = re.compile(r"\{\{ with .*?\{\{ end \}\}")
_LABEL = re.compile(r"\{\{ \$labels\.(\w+) \}\}")

Rule = dict[str, Any]


def rules() -> list[Rule]:
    """The alerting rules in their order. An alert has a rule for each severity."""
    all_rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    return [rule for rule in all_rules if "alert" in rule]


def alerts(runbooks: str) -> str:
    """The table of alerts. ``runbooks`` is the relative address of docs/runbooks.md."""
    rows = []
    for name, its_rules in groupby(rules(), lambda rule: str(rule["alert"])):
        same = list(its_rules)
        summaries = list(dict.fromkeys(_summary(rule) for rule in same))
        beginning = _common_beginning(summaries)
        meaning = beginning + ", then ".join(summary.removeprefix(beginning) for summary in summaries)
        severities = ", then ".join(rule["labels"]["severity"] for rule in same)
        after = ", then ".join(dict.fromkeys(rule.get("for", "at once") for rule in same))
        rows.append((f"[{name}]({runbooks}#{name.lower()})", severities, meaning, after))
    return table(("alert", "severity", "meaning", "for"), rows)


def _summary(rule: Rule) -> str:
    return _LABEL.sub(lambda label: label[1].upper(), _OPTIONAL.sub("", rule["annotations"]["summary"]))


def _common_beginning(texts: list[str]) -> str:
    """The longest common beginning."""
    letters = zip(*texts, strict=False)
    return "".join(each[0] for each in takewhile(lambda each: len(set(each)) == 1, letters))


TABLES: Tables = {RUNBOOKS: {"alerts": partial(alerts, "")}, OVERVIEW: {"alerts": partial(alerts, "runbooks.md")}}
