"""When each account is asked: pure arithmetic on the staleness clock, no threads.

Each account has a grid of moments, one interval apart, that nothing moves: neither the length of a poll nor a wait. The
grids are offset against each other, so that accounts do not burst together.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from .model import Account

FIRST_ROUND_SECONDS = 1.0
"""The first round of polls is spread over this time, or longer where the limit on requests asks for it."""


@dataclass(slots=True, eq=False)
class _Entry:
    account: Account
    anchor: float
    """Some moment of the account's grid."""
    due: float
    running: bool = False
    waiting: bool = False

    def next_after(self, moment: float) -> float:
        """The first moment of the grid after this one."""
        interval = self.account.poll_interval_seconds
        following = self.anchor + interval * (math.floor((moment - self.anchor) / interval) + 1)
        return following if following > moment else following + interval  # rounding


class Schedule:
    """The accounts and their next polls."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._heap: list[tuple[float, int, _Entry]] = []
        self._sequence = itertools.count()

    def replace(
        self, accounts: Iterable[Account], now: float, requests_per_second: float, *, keep: bool = True
    ) -> None:
        """Polls exactly these accounts from now on.

        An account that is configured as it was keeps its times, unless ``keep`` is false. New accounts use half of the
        permitted rate for their first polls; the rest is for retries and others.
        """
        kept = self._entries if keep else {}
        self._entries = {}
        new = []
        for account in accounts:
            entry = kept.get(account.name)
            if entry is None or entry.account != account:
                entry = _Entry(account, now, now)
                new.append(entry)
            self._entries[account.name] = entry
        spacing = max(FIRST_ROUND_SECONDS / max(len(new), 1), 2 / requests_per_second)
        for index, entry in enumerate(new):
            entry.anchor = entry.due = now + index * spacing
        self._heap = []
        for entry in self._entries.values():
            self._push(entry)

    def take_due(self, now: float) -> list[Account]:
        """The accounts to be polled now. One whose previous poll still runs misses its turn."""
        due = []
        while (entry := self._first()) is not None and entry.due <= now:
            if not entry.running:
                entry.running = True
                entry.waiting = False
                due.append(entry.account)
            self._move(entry, entry.next_after(now))
        return due

    def postpone(self, account: Account, not_before: float) -> float | None:
        """Lets the account's next poll start no earlier than this.

        Returns:
            when that will be; None if the account is not polled any more.
        """
        entry = self._entry(account)
        if entry is None:
            return None
        if entry.due < not_before:
            entry.waiting = True
            self._move(entry, entry.next_after(not_before))
        return entry.due

    def finished(self, account: Account) -> None:
        """Takes in that a poll has ended, with all that follows from it: another may begin."""
        if (entry := self._entry(account)) is not None:
            entry.running = False

    def hold(self, until: float) -> list[tuple[Account, float]]:
        """Lets no account be polled before this moment. Returns the accounts held back and their next polls."""
        held = []
        for entry in self._entries.values():
            if entry.due < until:
                entry.waiting = True
                self._move(entry, entry.next_after(until))
                held.append((entry.account, entry.due))
        return held

    def release(self, now: float, spacing: float = 0.0) -> None:
        """Ends all waiting: the accounts held back are due from now on, one after the other."""
        waiting = [entry for entry in self._entries.values() if entry.waiting]
        for index, entry in enumerate(waiting):
            entry.waiting = False
            self._move(entry, now + index * spacing)

    @property
    def next_at(self) -> float:
        """When something is due."""
        entry = self._first()
        return math.inf if entry is None else entry.due

    def _entry(self, account: Account) -> _Entry | None:
        entry = self._entries.get(account.name)
        return entry if entry is not None and entry.account is account else None

    def _move(self, entry: _Entry, due: float) -> None:
        entry.due = due
        self._push(entry)

    def _push(self, entry: _Entry) -> None:
        heapq.heappush(self._heap, (entry.due, next(self._sequence), entry))

    def _first(self) -> _Entry | None:
        """The entry that is due first; what was moved since it was pushed is dropped."""
        while self._heap:
            due, _, entry = self._heap[0]
            if entry.due == due and self._entries.get(entry.account.name) is entry:
                return entry
            heapq.heappop(self._heap)
        return None
