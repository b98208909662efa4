"""What the status page says of an account, of times and of texts from outside."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from .. import durations
from ..model import AccountState, AccountStatus, FailureReason

MAX_SHOWN_CHARACTERS = 200


class Level(StrEnum):
    """How much attention an account needs, most first."""

    BAD = "bad"
    WARN = "warn"
    OK = "ok"


class Badge(NamedTuple):
    """A state in a word. It comes with a shape and a colour of its level; no meaning is in the colour alone."""

    level: Level
    text: str

    @property
    def severity(self) -> int:
        """For sorting, worst first."""
        return list(Level).index(self.level)


_STATUS = {
    AccountStatus.NORMAL: Badge(Level.OK, "Normal"),
    AccountStatus.BANNED: Badge(Level.BAD, "Banned"),
    AccountStatus.UNKNOWN: Badge(Level.WARN, "Unknown status"),
}


def badges(state: AccountState) -> list[Badge]:
    """What to say of the account in a word or two, the worst first."""
    if state.up is None:
        return [Badge(Level.WARN, "Not read yet")]
    if state.status is None:
        return [Badge(Level.WARN, "Not current")]
    said = [_STATUS[state.status]]
    if not state.up and state.reason is not FailureReason.BANNED:
        said.append(Badge(Level.WARN, "Reading fails"))
    return sorted(said, key=lambda badge: badge.severity)


def explanation(state: AccountState) -> str:
    """Why the account needs attention and what to do, in words; empty if it needs none."""
    if state.message:
        return state.message
    if state.up is False:
        return "The figures have expired, since no poll has ended in time. See the exporter's log."
    if state.status is AccountStatus.BANNED:
        return "The exchange reports the account as banned: contact its support."
    if state.status is AccountStatus.UNKNOWN:
        return "The exchange reports a status that its documentation does not name. The exporter's log quotes it."
    return ""


def visible(text: str) -> str:
    """A text from outside, fit to be read: what is not printable is replaced, what is very long is cut."""
    cut = text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + "…"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)


def _duration(seconds: float) -> str:
    """To the second, the minute or the hour, whichever matters."""
    unit = 1 if seconds < 3600 else 60 if seconds < 172_800 else 3600
    return durations.show(seconds // unit * unit)


def ago(seconds: float) -> str:
    """How long ago, in words."""
    return f"{_duration(seconds)} ago" if seconds >= 1 else "just now"


def ahead(seconds: float) -> str:
    """In what time, in words."""
    return f"in {_duration(seconds)}" if seconds >= 1 else "now"


def utc(timestamp: float) -> str:
    """The moment of a Unix time, to the second."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
