"""Describes the state of an account on the status page: in short badges, and in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from ...metrics.state import AccountState, Cached
from ...model import (
    EXPIRES_SOON_SECONDS,
    AccountStatus,
    ApiKey,
    FailureReason,
    Products,
    Subaccount,
    SubaccountEquity,
    SubaccountStatus,
)
from .formatting import counted

HIGH_MARGIN_RATIO = Decimal("0.5")
CRITICAL_MARGIN_RATIO = Decimal("0.8")
"""Maintenance margin ratios above these are near the liquidation, which comes at 1. The alerts have the same limits."""


class Level(StrEnum):
    """Severity of a badge, worst first. The value is its name on the page and in the style sheet."""

    CRITICAL = "critical"
    WARNING = "warning"
    STARTING = "starting"
    NORMAL = "normal"


_SEVERITY = {level: severity for severity, level in enumerate(Level)}


class Badge(NamedTuple):
    """A state in a few words. The page shows it with the shape and the colour of its level."""

    level: Level
    text: str

    @property
    def severity(self) -> int:
        """Key to sort by, worst first."""
        return _SEVERITY[self.level]


@dataclass(frozen=True, slots=True)
class AccountResources:
    """What is read for an account in addition to its wallet, as far as it may be shown."""

    key: Cached[ApiKey]
    subaccounts: Cached[Sequence[Subaccount]]
    subaccount_equity: Cached[Sequence[SubaccountEquity]]
    products: Cached[Products]
    risk_frozen: Cached[Decimal]

    @property
    def valid_until(self) -> float:
        """The first moment (staleness clock) at which something of this expires."""
        parts = (self.key, self.subaccounts, self.subaccount_equity, self.products, self.risk_frozen)
        return min([part.valid_until for part in parts])


def badges(state: AccountState, resources: AccountResources, wall: float) -> list[Badge]:
    """Returns the badges of an account, the worst first. ``wall`` is the Unix time of now."""
    found = [
        *_of_account(state),
        *_of_margin(state),
        *_of_key(resources.key.value, wall),
        *_of_subaccounts(resources.subaccounts.value or ()),
    ]
    if resources.risk_frozen.value:
        found.append(Badge(Level.WARNING, "Funds held back"))
    if state.up:  # else another badge says that reading fails
        found += [Badge(Level.WARNING, f"{name} not read") for name in _unread(state, resources)]
    return sorted(found, key=lambda badge: badge.severity)


def _of_account(state: AccountState) -> Iterator[Badge]:
    if state.up is None:
        yield Badge(Level.STARTING, "Starting")
    elif state.status is None:
        yield Badge(Level.WARNING, "Not current")
    else:
        yield _STATUS[state.status]
        if not state.up and (state.failure is None or state.failure.reason is not FailureReason.BANNED):
            yield Badge(Level.WARNING, "Reading fails")


_STATUS = {
    AccountStatus.NORMAL: Badge(Level.NORMAL, "Normal"),
    AccountStatus.BANNED: Badge(Level.CRITICAL, "Banned"),
    AccountStatus.UNKNOWN: Badge(Level.WARNING, "Unknown status"),
}


def _of_margin(state: AccountState) -> Iterator[Badge]:
    ratio = state.margin.maintenance_margin_ratio if state.margin else None
    if ratio is not None and (level := margin_level(ratio)) is not Level.NORMAL:
        yield Badge(level, "Liquidation near")


def margin_level(ratio: Decimal) -> Level:
    """Returns how severe a maintenance margin ratio is."""
    if ratio > CRITICAL_MARGIN_RATIO:
        return Level.CRITICAL
    return Level.WARNING if ratio > HIGH_MARGIN_RATIO else Level.NORMAL


def _of_key(key: ApiKey | None, wall: float) -> Iterator[Badge]:
    if key is None:
        return
    if key.can_withdraw:
        yield Badge(Level.WARNING, "Key may withdraw")
    elif not key.read_only:
        yield Badge(Level.WARNING, "Key can do more than read")
    if key.expiry_timestamp is not None and key.expiry_timestamp - wall < EXPIRES_SOON_SECONDS:
        days = max(0, int((key.expiry_timestamp - wall) // 86_400))
        yield Badge(Level.WARNING, f"Key expires in {days}d" if key.expiry_timestamp > wall else "Key has expired")


def _of_subaccounts(subaccounts: Sequence[Subaccount]) -> Iterator[Badge]:
    count = Counter(each.status for each in subaccounts)
    if restricted := count[SubaccountStatus.LOGIN_BANNED] + count[SubaccountStatus.FROZEN]:
        yield Badge(Level.CRITICAL, f"{counted(restricted, 'subaccount')} banned or frozen")
    if unknown := count[SubaccountStatus.UNKNOWN]:
        yield Badge(Level.WARNING, f"{counted(unknown, 'subaccount')} of unknown status")


def _unread(state: AccountState, resources: AccountResources) -> Iterator[str]:
    """Names what could not be read."""
    named: dict[str, Cached[Any]] = {
        "Withdrawals": state.withdrawals,
        "Subaccounts": resources.subaccounts,
        "Subaccounts' equity": resources.subaccount_equity,
        "Products": resources.products,
        "Held-back funds": resources.risk_frozen,
        "Key": resources.key,
    }
    return (name for name, cached in named.items() if cached.up is False)


def explanation(state: AccountState) -> str:
    """Says why the state of an account is not normal and what to do; empty if it is normal."""
    if state.failure:
        return f"{state.failure.message}; {state.failure.advice}"
    if state.up is False:
        return "The figures have expired, since no poll has ended in time. See the exporter's log."
    if state.status is AccountStatus.BANNED:
        return "The exchange reports the account as banned: contact its support."
    if state.status is AccountStatus.UNKNOWN:
        return "The exchange reports a status that its documentation does not name. The exporter's log quotes it."
    ratio = state.margin.maintenance_margin_ratio if state.margin else None
    if ratio is not None and margin_level(ratio) is not Level.NORMAL:
        return "Liquidation is near: add collateral or reduce positions."
    return ""
