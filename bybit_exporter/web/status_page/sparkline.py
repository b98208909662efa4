"""A coin's last hour as a small line: an SVG path, and what it shows in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

WIDTH = 120
HEIGHT = 24
_MARGIN = 2

_LEAST_SPAN = 0.01
"""The line's height stands for at least this part of the amount, so that a trifle does not look like a landslide."""


@dataclass(frozen=True, slots=True)
class Sparkline:
    """The line, the change from its first known point to its last, and a description."""

    path: str
    change: str
    description: str


def sparkline(points: Sequence[float]) -> Sparkline | None:
    """The line through these points, one step each, or None if none of them is known. Others than numbers are gaps."""
    known = [point for point in points if math.isfinite(point)]
    if not known:
        return None
    low, high = min(known), max(known)
    description = f"total in the last hour: lowest {low:.7g}, highest {high:.7g}"
    if len(known) < len(points):
        description += f", known for {len(known)} of {len(points)} minutes"
    return Sparkline(_path(points, low, high), _change(known), description)


def _path(points: Sequence[float], low: float, high: float) -> str:
    """Steps, not slopes: a balance stays what it is until it changes. The pen is lifted where nothing is known."""
    span = max(high - low, _LEAST_SPAN * max(abs(low), abs(high))) or 1.0
    middle = low / 2 + high / 2
    step = WIDTH / len(points)
    parts: list[str] = []
    x, pen_is_down = 0.0, False
    heights = [round(_in_the_box(HEIGHT / 2 - (p - middle) / span * (HEIGHT - 2 * _MARGIN)), 1) for p in points]
    for y, run in groupby(heights, key=lambda height: height if math.isfinite(height) else None):
        end = x + step * len(list(run))
        if y is not None:
            parts.append(f"V{y:g}H{end:g}" if pen_is_down else f"M{x:g} {y:g}H{end:g}")
        x, pen_is_down = end, y is not None
    return "".join(parts)


def _in_the_box(height: float) -> float:
    """Where amounts are too small to be divided, the line would leave it. What is not known stays so."""
    return min(max(height, _MARGIN), HEIGHT - _MARGIN)


def _change(known: Sequence[float]) -> str:
    """From the first to the last, in per cent; empty if that says nothing."""
    first, last = known[0], known[-1]
    if len(known) < 2 or not first:
        return ""
    if first == last:
        return "±0%"
    change = (last - first) / abs(first)
    text = f"{change:+.2%}" if abs(change) < 10 else f"{'+' if change > 0 else '-'}>999%"
    return text.replace("-", "\N{MINUS SIGN}")
