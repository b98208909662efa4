"""A coin's last hour as a small line: an SVG path, and what it shows in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from .formatting import approximate

WIDTH = 120
HEIGHT = 24
_MARGIN = 2

_LEAST_SPAN = 0.01
"""The line's height stands for at least this part of the amount, so a small change does not look like a large one."""

MIN_POINTS = 3
"""No line is drawn through fewer: they are less than two minutes."""


@dataclass(frozen=True, slots=True)
class Sparkline:
    """The line, the change from its first known point to its last, and a description."""

    path: str
    change: str
    description: str


def sparkline(points: Sequence[float]) -> Sparkline | None:
    """Returns the line through these points, one a minute. Points that are not finite are gaps.

    None: fewer than `MIN_POINTS` are known.
    """
    known = [point for point in points if math.isfinite(point)]
    if len(known) < MIN_POINTS:
        return None
    low, high = min(known), max(known)
    description = f"total in the last hour: lowest {approximate(low)}, highest {approximate(high)}"
    if len(known) < len(points):
        description += f", known for {len(known)} of {len(points)} minutes"
    return Sparkline(_path(points, low, high), _change(known), description)


def _path(points: Sequence[float], low: float, high: float) -> str:
    """Draws steps, not slopes: a balance stays the same until it changes. Gaps are not drawn."""
    span = max(high - low, _LEAST_SPAN * max(abs(low), abs(high))) or 1.0
    middle = low / 2 + high / 2
    step = WIDTH / len(points)
    parts: list[str] = []
    x, pen_is_down = 0.0, False
    for point, run in groupby(points):
        end = x + step * len(list(run))
        if math.isfinite(point):
            height = HEIGHT / 2 - (point - middle) / span * (HEIGHT - 2 * _MARGIN)
            y = round(min(max(height, _MARGIN), HEIGHT - _MARGIN), 1)  # outside if amounts are too small to be divided
            parts.append(f"V{y:g}H{end:g}" if pen_is_down else f"M{x:g} {y:g}H{end:g}")
        x, pen_is_down = end, math.isfinite(point)
    return "".join(parts)


def _change(known: Sequence[float]) -> str:
    """Formats the change from the first to the last in per cent; empty if the first is 0."""
    first, last = known[0], known[-1]
    if not first:
        return ""
    if first == last:
        return "±0%"
    change = (last - first) / abs(first)
    text = f"{change:+.2%}" if abs(change) < 10 else f"{'+' if change > 0 else '-'}>999%"
    return text.replace("-", "\N{MINUS SIGN}")
