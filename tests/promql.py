"""Which metrics a PromQL expression of the dashboards names, and by which labels it selects them."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A name, a {…} or both, but no function: a name is not followed by a parenthesis.
SELECTOR = re.compile(r"(?<![\w.$])([a-zA-Z_:][\w:]*)?(?:\{([^}]*)\}|\b(?!\s*\()(?<=\w))")
NOT_SELECTED = re.compile(r"\b(by|on) \([^)]*\)|\[[^]]*\]|\boffset \S+|\b(and|or|unless)\b")


def selectors(expr: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric that an expression names, with the labels by which it selects."""
    for name, body in SELECTOR.findall(NOT_SELECTED.sub("", expr)):
        matchers = dict(re.findall(r'(\w+)\s*(?:=~|!=|!~|=)\s*"([^"]*)"', body))
        pattern = matchers.pop("__name__", None)
        for metric in [name] if pattern is None else expand(pattern):
            yield metric, set(matchers)


def expand(pattern: str) -> list[str]:
    """``a_(b|c)`` as ``a_b``, ``a_c``."""
    prefix, alternatives = re.fullmatch(r"(\w+)\(([\w|]+)\)", pattern).groups()  # type: ignore[union-attr]
    return [prefix + alternative for alternative in alternatives.split("|")]


def metrics(expr: str) -> set[str]:
    """The names of the metrics of an expression."""
    return {metric for metric, _ in selectors(expr)}
