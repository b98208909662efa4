"""Reads parameters of a request. An invalid one is refused with 10001, as on the exchange."""

from __future__ import annotations

import re

from bybit_exporter.sandbox.endpoints.routes import Query
from bybit_exporter.sandbox.messages import Refusal

_WHOLE = re.compile(r"[0-9]{1,19}")
_LONGEST_COIN = 20


def bad(name: str, value: str, expected: str) -> Refusal:
    """The refusal of an invalid parameter."""
    return Refusal(10001, f"{name} error: [{value}] is not {expected}")


def one_of(query: Query, name: str, *words: str) -> str:
    """A mandatory parameter that must be one of these words."""
    value = query.get(name, "")
    if value not in words:
        raise bad(name, value, " or ".join(words))
    return value


def coin(query: Query) -> str:
    """The parameter ``coin``: one coin, ``""`` if it is not given."""
    value = query.get("coin", "")
    if value and not _is_coin(value):
        raise bad("coin", value, "one upper-case coin")
    return value


def coins(query: Query) -> tuple[str, ...]:
    """The parameter ``coin``: coins separated by commas, none if it is not given."""
    value = query.get("coin", "")
    names = tuple(dict.fromkeys(value.split(","))) if value else ()
    if not all(map(_is_coin, names)):
        raise bad("coin", value, "upper-case coins separated by commas")
    return names


def whole(query: Query, name: str, default: int, least: int = 0, most: int = 10**18) -> int:
    """An optional whole number within bounds."""
    value = query.get(name, "")
    if not value:
        return default
    if not _WHOLE.fullmatch(value) or not least <= int(value) <= most:
        raise bad(name, value, f"a whole number from {least} to {most}")
    return int(value)


def _is_coin(name: str) -> bool:
    """Whether a coin may have this name. There are names in several scripts; none has lower-case letters."""
    has_lower = any(character.islower() for character in name)
    return 1 <= len(name) <= _LONGEST_COIN and name.isprintable() and not has_lower and not set(name) & {",", " "}
