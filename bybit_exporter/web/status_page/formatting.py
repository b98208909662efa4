"""Formats amounts, times and texts from outside for the status page."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from ... import durations

MAX_SHOWN_CHARACTERS = 200

NOT_STATED = "\N{EN DASH}"
"""Stands for a figure that the exchange does not state."""


def amount(value: Decimal) -> str:
    """Formats an amount in units of a coin, to its last digit."""
    return _signed(f"{value:,f}") if value else "0"


def usd(value: Decimal) -> str:
    """Formats an amount of US dollars, to the cent."""
    return _signed(f"{value:,.2f}") if value else "0"


def approximate(value: float) -> str:
    """Formats an amount to seven digits."""
    return amount(Decimal(f"{value:.7g}"))


def percent(ratio: Decimal) -> str:
    """Formats a ratio, of which 1 is 100 %."""
    return _signed(f"{ratio:,.1%}") if ratio else "0%"


def _signed(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def counted(count: int, noun: str) -> str:
    """Formats a count of things, such as ``1 account`` or ``2 accounts``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def visible(text: str) -> str:
    """Makes a text from outside fit to be read: replaces what is not printable, and cuts what is very long."""
    cut = text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + "…"
    return cut if cut.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)


def _duration(seconds: float) -> str:
    """Formats a duration to the second, the minute or the hour, whichever matters."""
    unit = 1 if seconds < 3600 else 60 if seconds < 172_800 else 3600
    return durations.show(seconds // unit * unit)


def ago(seconds: float) -> str:
    """Says how long ago something was."""
    return f"{_duration(seconds)} ago" if seconds >= 1 else "just now"


def ahead(seconds: float) -> str:
    """Says in what time something will be."""
    return f"in {_duration(seconds)}" if seconds >= 1 else "now"


def utc(timestamp: float) -> str:
    """Formats a Unix time, to the second."""
    return _utc(int(timestamp))


@lru_cache(maxsize=1024)  # with many accounts, most were read in the same few seconds
def _utc(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
