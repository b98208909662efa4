"""Decimal strings of the exchange."""

from __future__ import annotations

import math
import re
from decimal import Context, Decimal

from .errors import MALFORMED, BybitError

ZERO = Decimal(0)
_EXACT = Context(prec=100)
"""More digits than any amount has."""
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def amount(text: str, path: str) -> Decimal:
    """The number that a decimal string means; ``""`` is 0.

    Raises:
        BybitError: ``malformed``, if it is no decimal number, or larger than a float.
    """
    if not text:
        return ZERO
    plain = text.isascii() and text.replace(".", "", 1).isdigit()  # most are, and the pattern takes longer
    rounded = float(text) if plain or _DECIMAL.fullmatch(text) else math.nan
    if not math.isfinite(rounded):
        raise BybitError(MALFORMED, f"{path}: not a finite decimal number", seen=text)
    return Decimal(text) if rounded else ZERO  # no negative zero, and no exponent without bounds


def minus(whole: Decimal, part: Decimal, path: str) -> Decimal:
    """What is left of an amount. Raises BybitError as `amount` does."""
    return _within_a_float(_EXACT.subtract(whole, part), path)


def plus(one: Decimal, other: Decimal, path: str) -> Decimal:
    """The sum of two amounts. Raises BybitError as `amount` does."""
    return _within_a_float(_EXACT.add(one, other), path)


def _within_a_float(result: Decimal, path: str) -> Decimal:
    if not math.isfinite(float(result)):
        raise BybitError(MALFORMED, f"{path}: the result is larger than a float")
    return result
