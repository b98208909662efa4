"""What the status page says of an account, of times and of texts from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from ... import durations
from ...metrics.state import AccountState, Cached
from ...model import EXPIRES_SOON_SECONDS, AccountStatus, ApiKey, FailureReason, Subaccount, SubaccountStatus

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


def badges(
    state: AccountState, key: Cached[ApiKey], subaccounts: Cached[Sequence[Subaccount]], wall: float
) -> list[Badge]:
    """What to say of the account in a word or two, the worst first. ``wall`` is the Unix time of now."""
    beside = {"Withdrawals": state.withdrawals, "Subaccounts": subaccounts, "Key": key}
    said = [*_of_account(state), *_of_key(key.value, wall), *_of_subaccounts(subaccounts.value or ())]
    if state.up:  # else it is said already, and why
        said += [Badge(Level.WARN, f"{what} not read") for what, known in beside.items() if known and known.up is False]
    return sorted(said, key=lambda badge: badge.severity)


def _of_account(state: AccountState) -> Iterator[Badge]:
    if state.up is None:
        yield Badge(Level.WARN, "Not read yet")
    elif state.status is None:
        yield Badge(Level.WARN, "Not current")
    else:
        yield _STATUS[state.status]
        if not state.up and (state.failure is None or state.failure.reason is not FailureReason.BANNED):
            yield Badge(Level.WARN, "Reading fails")


def _of_key(key: ApiKey | None, wall: float) -> Iterator[Badge]:
    if key is None:
        return
    if not key.read_only:
        yield Badge(Level.WARN, "Key can do more than read")
    if key.expiry_timestamp is not None and key.expiry_timestamp - wall < EXPIRES_SOON_SECONDS:
        days = max(0, int((key.expiry_timestamp - wall) // 86_400))
        yield Badge(Level.WARN, f"Key expires in {days}d" if key.expiry_timestamp > wall else "Key has expired")


def _of_subaccounts(subaccounts: Sequence[Subaccount]) -> Iterator[Badge]:
    count = Counter(each.status for each in subaccounts)
    if restricted := count[SubaccountStatus.LOGIN_BANNED] + count[SubaccountStatus.FROZEN]:
        yield Badge(Level.BAD, f"{restricted} {'subaccount' if restricted == 1 else 'subaccounts'} banned or frozen")
    if unknown := count[SubaccountStatus.UNKNOWN]:
        yield Badge(Level.WARN, f"{unknown} {'subaccount' if unknown == 1 else 'subaccounts'} of unknown status")


def usd(value: Decimal) -> str:
    """An amount of US dollars, to the cent."""
    return f"{value:,.2f}"


def explanation(state: AccountState) -> str:
    """Why the account needs attention and what to do, in words; empty if it needs none."""
    if state.failure:
        return f"{state.failure.message}; {state.failure.advice}"
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
