"""What each account held of each coin over the last hour, for the status page's lines. Never for the exposition.

A series is one coin of one account: one point a minute, each the total of free, frozen and withdrawing as it was
last known in that minute. A minute in which nothing was known (no poll succeeded, and the figures before had expired or
polls had begun to fail by its beginning) is NaN: a line drawn from the points has a gap there.

Bounded: `MAX_SERIES` series of `POINTS` floats of single precision, whose seven digits are more than a line can show:
about 8 MB with everything. The first to come have them; coins beyond that have no line.
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
    """An account's series: rings, in which a minute has the place of its number modulo `POINTS`."""

    account: Account
    latest: int
    """The number of the minute up to which the rings are filled."""
    known_until: float = -math.inf
    """When the latest figures stop to hold: when they expire, or when a poll fails."""
    rings: dict[str, array[float]] = field(default_factory=dict)
    balances: Sequence[Balance] = ()
    """The latest. They become points when their minute ends, or when somebody looks."""
    is_drawn: bool = True

    def advance(self, minute: int) -> None:
        """Fills the minutes up to this one: with the latest figures where those held at its beginning."""
        if minute > self.latest:
            self.draw()
        for each in range(max(self.latest, minute - POINTS) + 1, minute + 1):
            held = each * STEP_SECONDS < self.known_until
            for ring in self.rings.values():
                ring[each % POINTS] = ring[self.latest % POINTS] if held else math.nan
        self.latest = max(self.latest, minute)

    def draw(self) -> None:
        """Sets the latest minute, once. A coin that is new was unknown before; one that is gone is forgotten."""
        if self.is_drawn:
            return
        rings, place = {}, self.latest % POINTS
        for balance in self.balances:
            ring = rings[balance.coin] = self.rings.get(balance.coin) or array("f", [math.nan]) * POINTS
            ring[place] = float(balance.total)
        self.rings, self.is_drawn = rings, True


class History:
    """The last hour of every account. Times are of the staleness clock; any thread may call."""

    def __init__(self, max_series: int = MAX_SERIES) -> None:
        self._hours: dict[str, _Hour] = {}
        self._room = max_series
        self._lock = threading.Lock()

    def retain(self, accounts: Iterable[Account]) -> None:
        """Forgets all accounts but these."""
        kept = {account.name: account for account in accounts}
        with self._lock:
            for name in [name for name, hour in self._hours.items() if kept.get(name) is not hour.account]:
                self._room += len(self._hours.pop(name).balances)

    def record(self, account: Account, asked_at: float, balances: Sequence[Balance] | None) -> None:
        """Adds the balances of a poll; None if it failed: the figures are unknown until the next success."""
        with self._lock:
            minute = int(asked_at // STEP_SECONDS)
            hour = self._hours.setdefault(account.name, _Hour(account, minute))
            if balances is not None:
                hour.advance(minute)
                self._room += len(hour.balances)
                hour.balances, hour.is_drawn = balances[: self._room], False
                self._room -= len(hour.balances)
                hour.known_until = asked_at + account.stale_after_seconds
            else:
                hour.known_until = min(hour.known_until, asked_at)

    def last_hour(self, account: Account, now: float) -> Mapping[str, Sequence[float]]:
        """The account's series by coin, oldest point first; the last point is the minute under way."""
        with self._lock:
            hour = self._hours.get(account.name)
            if hour is None:
                return {}
            hour.draw()
            hour.advance(int(now // STEP_SECONDS))
            oldest = (hour.latest + 1) % POINTS
            return {coin: ring[oldest:] + ring[:oldest] for coin, ring in hour.rings.items()}
