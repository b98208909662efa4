"""Parses the exchange's decimal strings, and adds and subtracts them exactly."""

from __future__ import annotations

import math
import re
from decimal import Context, Decimal
from typing import Annotated

import msgspec

from .errors import MALFORMED, BybitError

ZERO = Decimal(0)
_EXACT = Context(prec=100)
"""More digits than any amount has."""
_MAX_SAFE_EXPONENT = 307
"""The maximum exponent of the first digit. The largest float is 1.8e308."""
_PLAIN = re.compile(r"-?[0-9]{1,100}(?:\.[0-9]{1,100})?").fullmatch
"""The form of nearly all amounts. With at most 100 digits before the point, a number is always a finite float."""
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

NonEmptyText = Annotated[str, msgspec.Meta(min_length=1)]
OptionalText = str | msgspec.UnsetType
"""A field that may be absent. ``null`` is malformed."""


def amount(text: str, field: str) -> Decimal:
    """Parses a decimal string; ``""`` is 0.

    Raises:
        BybitError: ``malformed``, if the text is not a decimal number or is larger than a float.
    """
    if text == "0" or not text:  # most amounts of a coin
        return ZERO
    if _PLAIN(text):
        return Decimal(text) or ZERO
    rounded = float(text) if _DECIMAL.fullmatch(text) else math.nan
    if not math.isfinite(rounded):
        raise BybitError(MALFORMED, f"{field}: not a finite decimal number")
    return Decimal(text) if rounded else ZERO  # no negative zero, no unbounded exponent


def amount_if_present(text: OptionalText, field: str) -> Decimal | None:
    """Parses a field that may be absent: None if it is; ``""`` is 0. Raises BybitError as `amount` does."""
    if text == "0" or text == "":
        return ZERO
    return amount(text, field) if text else None


def amount_if_stated(text: OptionalText, field: str) -> Decimal | None:
    """Parses a field that may be absent or empty: None if it is either. Raises BybitError as `amount` does."""
    if text == "0":
        return ZERO
    return amount(text, field) if text else None


def minus(whole: Decimal, part: Decimal, field: str) -> Decimal:
    """Subtracts exactly. Raises BybitError as `amount` does."""
    return _finite(_EXACT.subtract(whole, part), field) if part else whole


def plus(one: Decimal, other: Decimal, field: str) -> Decimal:
    """Adds exactly. Raises BybitError as `amount` does."""
    return _finite(_EXACT.add(one, other), field) if other else one


def _finite(result: Decimal, field: str) -> Decimal:
    if result.adjusted() > _MAX_SAFE_EXPONENT and not math.isfinite(float(result)):
        raise BybitError(MALFORMED, f"{field}: the result is larger than a float")
    return result
