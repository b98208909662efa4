"""When each task is taken up: pure arithmetic on the staleness clock, no threads.

Each task has a grid of moments, one interval apart, that nothing moves: neither the length of a poll nor a wait. The
grids are offset against each other, so that tasks do not burst together.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

FIRST_ROUND_SECONDS = 1.0
"""The first round of polls is spread over this time, or longer where the limit on requests asks for it."""

POLLS_SHARE = 0.5
"""The share of the permitted rate of requests that the first round of polls uses; the rest is for retries and more."""


class Task(Protocol):
    """What is done on an interval. Two that are equal are the same task, also after a reload."""

    @property
    def key(self) -> Hashable: ...

    @property
    def interval_seconds(self) -> float: ...

    @property
    def share(self) -> float:
        """The share of the permitted rate of requests that the first round of tasks of its kind uses."""


T = TypeVar("T", bound=Task)


@dataclass(slots=True, eq=False)
class _Entry(Generic[T]):
    task: T
    anchor: float
    """Some moment of the task's grid."""
    due: float
    running: bool = False
    waiting: bool = False
    """Whether a failure has put it off."""

    def next_after(self, moment: float) -> float:
        """The first moment of the grid after this one."""
        interval = self.task.interval_seconds
        following = self.anchor + interval * (math.floor((moment - self.anchor) / interval) + 1)
        return following if following > moment else following + interval  # rounding


class Reservation(NamedTuple, Generic[T]):
    """The turn of a task that somebody waits for."""

    due: float
    entry: _Entry[T]


class Schedule(Generic[T]):
    """The tasks and their next turns."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry[T]] = {}
        self._heap: list[tuple[float, int, _Entry[T]]] = []
        self._sequence = itertools.count()

    def replace(self, tasks: Iterable[T], now: float, requests_per_second: float, *, keep: bool = True) -> None:
        """Takes up exactly these tasks from now on.

        A task that is what it was keeps its times, unless ``keep`` is false. New ones are spread: the first poll is due
        at once, what is beside the polls a little later.
        """
        kept = self._entries if keep else {}
        self._entries = {}
        new = []
        for task in tasks:
            entry = kept.get(task.key)
            if entry is None or entry.task != task:
                entry = _Entry(task, now, now)
                new.append(entry)
            self._entries[task.key] = entry
        for share in {entry.task.share for entry in new}:
            alike = [entry for entry in new if entry.task.share == share]
            spacing = 1 / (share * requests_per_second)
            if share == POLLS_SHARE:
                _spread(alike, now, max(FIRST_ROUND_SECONDS / len(alike), spacing))
            else:
                _spread(alike, now + spacing, spacing)
        self._heap = []
        for entry in self._entries.values():
            self._push(entry)

    def reserve(self) -> Reservation[T] | None:
        """The first turn that nobody else waits for; None if there is none. `take` ends the reservation."""
        while self._heap:
            due, _, entry = heapq.heappop(self._heap)
            if self._is_current(entry, due):  # it has not been moved since it was pushed
                return Reservation(due, entry)
        return None

    def take(self, reserved: Reservation[T], now: float) -> T | None:
        """The task, if its turn has come; it misses it if it still runs. None leaves the turn to whoever is next."""
        due, entry = reserved
        if not self._is_current(entry, due):
            return None
        if due > now:
            self._push(entry)
            return None
        self._move(entry, entry.next_after(now))
        if entry.running:
            return None
        entry.running, entry.waiting = True, False
        return entry.task

    def postpone(self, task: T, not_before: float, *, waiting: bool = True) -> float | None:
        """Lets the task's next turn come no earlier than this. ``waiting``: `release` ends it.

        Returns:
            when that will be; None if the task has been taken out.
        """
        entry = self._entry(task)
        if entry is None:
            return None
        if entry.due < not_before:
            entry.waiting = waiting
            self._move(entry, entry.next_after(not_before))
        return entry.due

    def finished(self, task: T) -> None:
        """Takes in that a turn has ended, with all that follows from it: another may begin."""
        if (entry := self._entry(task)) is not None:
            entry.running = False

    def hold(self, until: float) -> list[tuple[T, float]]:
        """Lets no task be taken up before this moment. Returns those held back and their next turns."""
        held = []
        for entry in self._entries.values():
            if entry.due < until:
                entry.waiting = True
                self._move(entry, entry.next_after(until))
                held.append((entry.task, entry.due))
        return held

    def release(self, now: float, spacing: float = 0.0) -> None:
        """Ends all waiting: the tasks held back are due from now on, one after the other."""
        waiting = [entry for entry in self._entries.values() if entry.waiting]
        for index, entry in enumerate(waiting):
            entry.waiting = False
            self._move(entry, now + index * spacing)

    def _entry(self, task: T) -> _Entry[T] | None:
        entry = self._entries.get(task.key)
        return entry if entry is not None and entry.task is task else None

    def _move(self, entry: _Entry[T], due: float) -> None:
        entry.due = due
        self._push(entry)

    def _push(self, entry: _Entry[T]) -> None:
        heapq.heappush(self._heap, (entry.due, next(self._sequence), entry))

    def _is_current(self, entry: _Entry[T], due: float) -> bool:
        """Whether that is still the entry's next turn, and the entry has not been taken out."""
        return entry.due == due and self._entries.get(entry.task.key) is entry


def _spread(entries: Iterable[_Entry[T]], start: float, spacing: float) -> None:
    for index, entry in enumerate(entries):
        entry.anchor = entry.due = start + index * spacing
