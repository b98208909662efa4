"""Writes the tables of alerts in the documentation: ``python -m tools.alerts``.

Each table is between ``<!-- alerts -->`` and ``<!-- /alerts -->``. A test compares it with the rules.
"""

from __future__ import annotations

import re
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

import yaml

from tools.documents import table

ROOT = Path(__file__).parent.parent
RULES = ROOT / "prometheus" / "alerts.yml"
RUNBOOKS = ROOT / "docs" / "runbooks.md"
OVERVIEW = ROOT / "docs" / "alerts.md"
DOCUMENTS = {RUNBOOKS: "", OVERVIEW: "runbooks.md"}
"""The documents with a table, and the address of docs/runbooks.md from each."""

_PLACE = re.compile(r"(<!-- alerts -->\n).*?(<!-- /alerts -->)", re.DOTALL)
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


def current(document: Path) -> str:
    """The document's text with the current table; unchanged if it has no place for one."""
    body = alerts(DOCUMENTS[document])
    return _PLACE.sub(lambda place: f"{place[1]}\n{body}\n\n{place[2]}", document.read_text())


if __name__ == "__main__":
    for path in filter(Path.exists, DOCUMENTS):
        path.write_text(current(path))
