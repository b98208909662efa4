"""Decimal strings of the exchange."""

from __future__ import annotations

import math
import re
from decimal import Context, Decimal

from .errors import MALFORMED, BybitError

ZERO = Decimal(0)
_EXACT = Context(prec=100)
"""More digits than any amount has."""
_MANY = 300
"""So few digits are a finite float."""
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def amount(text: str, field: str) -> Decimal:
    """The number that a decimal string means; ``""`` is 0.

    Raises:
        BybitError: ``malformed``, if it is no decimal number, or larger than a float.
    """
    if len(text) < _MANY and text.isascii() and text.replace(".", "", 1).isdigit():  # most are, and this is quick
        return Decimal(text) or ZERO
    if not text:
        return ZERO
    rounded = float(text) if _DECIMAL.fullmatch(text) else math.nan
    if not math.isfinite(rounded):
        raise BybitError(MALFORMED, f"{field}: not a finite decimal number", seen=text)
    return Decimal(text) if rounded else ZERO  # no negative zero, and no exponent without bounds


def minus(whole: Decimal, part: Decimal, field: str) -> Decimal:
    """What is left of an amount. Raises BybitError as `amount` does."""
    return _within_a_float(_EXACT.subtract(whole, part), field)


def plus(one: Decimal, other: Decimal, field: str) -> Decimal:
    """The sum of two amounts. Raises BybitError as `amount` does."""
    return _within_a_float(_EXACT.add(one, other), field)


def _within_a_float(result: Decimal, field: str) -> Decimal:
    if not math.isfinite(float(result)):
        raise BybitError(MALFORMED, f"{field}: the result is larger than a float")
    return result
