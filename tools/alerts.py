"""Writes the table of alerts where it stands in the documentation: ``python -m tools.alerts``.

It stands between ``<!-- alerts -->`` and ``<!-- /alerts -->``; a test compares it.
"""

from __future__ import annotations

import re
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

import yaml

from tools.readme import table

ROOT = Path(__file__).parent.parent
RULES = ROOT / "prometheus" / "alerts.yml"
RUNBOOKS = ROOT / "docs" / "runbooks.md"
DOCUMENTS = (RUNBOOKS, ROOT / "README.md")

_PLACE = re.compile(r"(<!-- alerts -->\n).*?(<!-- /alerts -->)", re.DOTALL)
_OPTIONAL = re.compile(r"\{\{ with .*?\{\{ end \}\}")
_LABEL = re.compile(r"\{\{ \$labels\.(\w+) \}\}")

Rule = dict[str, Any]


def rules() -> list[Rule]:
    """The alerting rules in their order; one alert may have a rule for each severity."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts(runbooks: str) -> str:
    """The table; ``runbooks`` is the address of docs/runbooks.md from where the table stands."""
    rows = []
    for name, its_rules in groupby(rules(), lambda rule: str(rule["alert"])):
        same = list(its_rules)
        summaries = list(dict.fromkeys(_says(rule) for rule in same))
        alike = _beginning(summaries)
        says = alike + ", then ".join(summary.removeprefix(alike) for summary in summaries)
        severities = ", then ".join(rule["labels"]["severity"] for rule in same)
        after = ", then ".join(dict.fromkeys(rule.get("for", "at once") for rule in same))
        rows.append((f"[{name}]({runbooks}#{name.lower()})", severities, says, after))
    return table(("alert", "severity", "says", "after"), rows)


def _says(rule: Rule) -> str:
    return _LABEL.sub(lambda label: label[1].upper(), _OPTIONAL.sub("", rule["annotations"]["summary"]))


def _beginning(texts: list[str]) -> str:
    """What all of them begin with."""
    letters = zip(*texts, strict=False)
    return "".join(each[0] for each in takewhile(lambda each: len(set(each)) == 1, letters))


def current(document: Path) -> str:
    """The document's text with the table as the rules have it; unchanged if it has no place for one."""
    body = alerts("" if document == RUNBOOKS else "docs/runbooks.md")
    return _PLACE.sub(lambda place: f"{place[1]}\n{body}\n\n{place[2]}", document.read_text())


if __name__ == "__main__":
    for path in filter(Path.exists, DOCUMENTS):
        path.write_text(current(path))
