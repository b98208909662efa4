"""Durations as Prometheus writes them: ``90s``, ``1m30s``, ``500ms``."""

from __future__ import annotations

import re

_UNITS = {"y": 31_536_000.0, "w": 604_800.0, "d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile("".join(rf"(?:([0-9]{{1,12}}){unit})?" for unit in _UNITS))


def parse(text: str) -> float:
    """Parses a duration. Returns seconds.

    Raises:
        ValueError: if the text is not a duration.
    """
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError("not a duration")
    return sum(int(count) * seconds for count, seconds in zip(match.groups(), _UNITS.values(), strict=True) if count)


def show(seconds: float) -> str:
    """Formats a duration, rounded to the millisecond."""
    rest, parts = round(seconds * 1000), []
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, round(size * 1000))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
