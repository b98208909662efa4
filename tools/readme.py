"""Writes the tables of README.md from the code: ``python -m tools.readme``.

Each table is between ``<!-- name -->`` and ``<!-- /name -->``. A test compares it with the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bybit_exporter.bybit.errors import ERROR_RULES, ErrorRule
from bybit_exporter.metrics.families import ALL_FAMILIES

README = Path(__file__).parent.parent / "README.md"


def metrics() -> str:
    """Every metric, as in `bybit_exporter.metrics`."""
    rows: list[tuple[str, ...]] = [(f"`{f.name}`", f.type, ", ".join(f.labels), f.help) for f in ALL_FAMILIES]
    rows.append(("`process_*`", "", "", "Of the process, as every Prometheus client exposes them."))
    return table(("metric", "type", "labels", ""), rows)


def troubleshooting() -> str:
    """Every row of the table of failures."""
    rows = [(f"`{rule.reason}`", _when(rule), rule.retry.value, rule.advice) for rule in ERROR_RULES]
    return table(("reason", "when", "then", "what to do"), rows)


def _when(rule: ErrorRule) -> str:
    statuses = [f"HTTP {status}" for status in rule.http_statuses]
    codes = [f"retCode {', '.join(map(str, rule.ret_codes))}"] if rule.ret_codes else []
    return "; ".join([*([rule.seen] if rule.seen else []), *statuses, *codes])


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [head, *[["---" for _ in head]], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


TABLES: Mapping[str, Callable[[], str]] = {"metrics": metrics, "troubleshooting": troubleshooting}


def current(text: str) -> str:
    """The text with current tables."""
    return with_tables(text, TABLES)


def with_tables(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """The text with each of these tables in its place."""
    for name, make in tables.items():
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        assert end, f"there is no place for the table {name}"
        text = f"{before}{begin}\n{make()}\n\n{end}{after}"
    return text


if __name__ == "__main__":
    README.write_text(current(README.read_text()))
