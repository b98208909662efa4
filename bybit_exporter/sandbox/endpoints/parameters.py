"""Parameters of a request. Nonsense is refused with 10001, as the exchange does."""

from __future__ import annotations

import re

from bybit_exporter.sandbox.endpoints.routes import Query
from bybit_exporter.sandbox.messages import Refusal

_COIN = re.compile(r"[A-Z0-9]{1,20}")
_WHOLE = re.compile(r"[0-9]{1,19}")


def bad(name: str, value: str, expected: str) -> Refusal:
    """What a parameter that makes no sense is refused with."""
    return Refusal(10001, f"{name} error: [{value}] is not {expected}")


def one_of(query: Query, name: str, *words: str) -> str:
    """A parameter that is needed and must be one of a few words."""
    value = query.get(name, "")
    if value not in words:
        raise bad(name, value, " or ".join(words))
    return value


def coin(query: Query) -> str:
    """One coin, or ``""`` if none is given."""
    value = query.get("coin", "")
    if value and not _COIN.fullmatch(value):
        raise bad("coin", value, "one upper-case coin")
    return value


def coins(query: Query) -> tuple[str, ...]:
    """Coins separated by commas, none if none is given."""
    value = query.get("coin", "")
    names = tuple(dict.fromkeys(value.split(","))) if value else ()
    if not all(_COIN.fullmatch(name) for name in names):
        raise bad("coin", value, "upper-case coins separated by commas")
    return names


def whole(query: Query, name: str, default: int, least: int = 0, most: int = 10**18) -> int:
    """A whole number between two others."""
    value = query.get(name, "")
    if not value:
        return default
    if not _WHOLE.fullmatch(value) or not least <= int(value) <= most:
        raise bad(name, value, f"a whole number from {least} to {most}")
    return int(value)
