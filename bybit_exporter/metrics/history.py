"""The balances of the last hour, for the lines on the status page. They are not part of the exposition.

A series is one coin of one account, with one point a minute: the total of free, frozen and withdrawing that was last
known in that minute. The point is NaN (a gap in the line) if no poll succeeded in that minute, and the previous figures
had expired or polls were failing when it began.

Memory is bounded: `MAX_SERIES` series of `POINTS` single-precision floats, about 8 MB in all. Seven digits are enough
for a line. When all series are in use, further coins have no line.
"""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..model import Account, Balance

POINTS = 60
STEP_SECONDS = 60.0
MAX_SERIES = 20_000


@dataclass(slots=True)
class _Hour:
    """The series of one account, as ring buffers: a minute's index is its number modulo `POINTS`."""

    account: Account
    latest: int
    """The number of the minute up to which the rings are filled."""
    known_until: float = -math.inf
    """When the latest figures become unknown: they expire, or a poll fails."""
    rings: dict[str, array[float]] = field(default_factory=dict)
    balances: Sequence[Balance] = ()
    """The latest balances. They become points when their minute ends, or when the series are read."""
    is_written: bool = True
    """Whether the latest balances have become points."""

    def advance(self, minute: int) -> None:
        """Fills the minutes up to this one: with the latest figures, or NaN if they were unknown when it began."""
        if minute > self.latest:
            self.write_points()
        for number in range(max(self.latest, minute - POINTS) + 1, minute + 1):
            is_known = number * STEP_SECONDS < self.known_until
            for ring in self.rings.values():
                ring[number % POINTS] = ring[self.latest % POINTS] if is_known else math.nan
        self.latest = max(self.latest, minute)

    def write_points(self) -> None:
        """Writes the latest balances to their minute, once. Coins that are gone are removed."""
        if self.is_written:
            return
        rings, index = {}, self.latest % POINTS
        for balance in self.balances:
            ring = rings[balance.coin] = self.rings.get(balance.coin) or array("f", [math.nan]) * POINTS
            ring[index] = float(balance.total)
        self.rings, self.is_written = rings, True


class History:
    """The last hour of every account. Times are moments of the staleness clock. Safe for several threads."""

    def __init__(self, max_series: int = MAX_SERIES) -> None:
        self._hours: dict[str, _Hour] = {}
        self._free_series = max_series
        self._lock = threading.Lock()

    def retain(self, accounts: Iterable[Account]) -> None:
        """Forgets all accounts but these."""
        kept = {account.name: account for account in accounts}
        with self._lock:
            for name in [name for name, hour in self._hours.items() if kept.get(name) is not hour.account]:
                self._free_series += len(self._hours.pop(name).balances)

    def record(self, account: Account, asked_at: float, balances: Sequence[Balance] | None) -> None:
        """Adds the balances of a poll; None if it failed: the figures are unknown until the next success."""
        with self._lock:
            minute = int(asked_at // STEP_SECONDS)
            hour = self._hours.setdefault(account.name, _Hour(account, minute))
            if balances is not None:
                hour.advance(minute)
                self._free_series += len(hour.balances)
                hour.balances, hour.is_written = balances[: self._free_series], False
                self._free_series -= len(hour.balances)
                hour.known_until = asked_at + account.stale_after_seconds
            else:
                hour.known_until = min(hour.known_until, asked_at)

    def last_hour(self, account: Account, now: float) -> Mapping[str, Sequence[float]]:
        """The account's series by coin, oldest point first. The last point is the current minute."""
        with self._lock:
            hour = self._hours.get(account.name)
            if hour is None:
                return {}
            hour.write_points()
            hour.advance(int(now // STEP_SECONDS))
            oldest = (hour.latest + 1) % POINTS
            return {coin: ring[oldest:] + ring[:oldest] for coin, ring in hour.rings.items()}
