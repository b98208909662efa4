"""When each job runs: arithmetic on the staleness clock, no threads.

Each job has a grid of moments, one interval apart, that nothing moves: neither the length of a run nor a delay. The
grids are offset against each other, so that jobs do not all run at once.
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


class Schedulable(Protocol):
    """A job that runs on an interval. Two that are equal are the same job, also after a reload."""

    @property
    def key(self) -> Hashable: ...

    @property
    def interval_seconds(self) -> float: ...

    @property
    def start_share(self) -> float:
        """The share of the permitted rate of requests that the first round of jobs of this kind uses."""


J = TypeVar("J", bound=Schedulable)


@dataclass(slots=True, eq=False)
class _Entry(Generic[J]):
    job: J
    anchor: float
    """Some moment of the job's grid."""
    due: float
    running: bool = False
    releasable: bool = False
    """Whether a failure has delayed it, so that `Schedule.release` ends the delay."""

    def next_after(self, moment: float) -> float:
        """The first moment of the grid after this one."""
        interval = self.job.interval_seconds
        following = self.anchor + interval * (math.floor((moment - self.anchor) / interval) + 1)
        return following if following > moment else following + interval  # rounding


class Reservation(NamedTuple, Generic[J]):
    """The next run of a job, which one worker waits for."""

    due: float
    entry: _Entry[J]


class Schedule(Generic[J]):
    """The jobs, and when each runs next."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry[J]] = {}
        self._heap: list[tuple[float, int, _Entry[J]]] = []
        self._sequence = itertools.count()

    def replace(self, jobs: Iterable[J], now: float, requests_per_second: float, *, keep: bool = True) -> None:
        """Schedules exactly these jobs from now on.

        An unchanged job keeps its times, unless ``keep`` is false. New ones are spread: the first poll is due at once,
        jobs of other kinds a little later.
        """
        kept = self._entries if keep else {}
        self._entries = {}
        new = []
        for job in jobs:
            entry = kept.get(job.key)
            if entry is None or entry.job != job:
                entry = _Entry(job, now, now)
                new.append(entry)
            self._entries[job.key] = entry
        for share in {entry.job.start_share for entry in new}:
            alike = [entry for entry in new if entry.job.start_share == share]
            spacing = 1 / (share * requests_per_second)
            if share == POLLS_SHARE:
                _spread(alike, now, max(FIRST_ROUND_SECONDS / len(alike), spacing))
            else:
                _spread(alike, now + spacing, spacing)
        self._heap = []
        for entry in self._entries.values():
            self._push(entry)

    def reserve(self) -> Reservation[J] | None:
        """The first run that no other worker waits for; None if there is none. `take` ends the reservation."""
        while self._heap:
            due, _, entry = heapq.heappop(self._heap)
            if self._is_current(entry, due):  # it has not been moved since it was pushed
                return Reservation(due, entry)
        return None

    def take(self, reserved: Reservation[J], now: float) -> J | None:
        """The job, if it is due; a job that still runs misses this run. None: another job may be due first."""
        due, entry = reserved
        if not self._is_current(entry, due):
            return None
        if due > now:
            self._push(entry)
            return None
        self._move(entry, entry.next_after(now))
        if entry.running:
            return None
        entry.running, entry.releasable = True, False
        return entry.job

    def delay(self, job: J, not_before: float, *, releasable: bool = True) -> float | None:
        """Runs the job next no earlier than this. ``releasable``: `release` ends the delay.

        Returns:
            when it runs next; None if the job has been taken out.
        """
        entry = self._entry(job)
        if entry is None:
            return None
        if entry.due < not_before:
            entry.releasable = releasable
            self._move(entry, entry.next_after(not_before))
        return entry.due

    def finished(self, job: J) -> None:
        """Marks a run as ended, with all that follows from it: the next may begin."""
        if (entry := self._entry(job)) is not None:
            entry.running = False

    def delay_all(self, not_before: float) -> list[tuple[J, float]]:
        """Runs no job before this moment. Returns the delayed jobs and when each runs next."""
        delayed = []
        for entry in self._entries.values():
            if entry.due < not_before:
                entry.releasable = True
                self._move(entry, entry.next_after(not_before))
                delayed.append((entry.job, entry.due))
        return delayed

    def release(self, now: float, spacing_seconds: float = 0.0) -> None:
        """Ends all delays: the delayed jobs are due from now on, one after the other."""
        delayed = [entry for entry in self._entries.values() if entry.releasable]
        for index, entry in enumerate(delayed):
            entry.releasable = False
            self._move(entry, now + index * spacing_seconds)

    def _entry(self, job: J) -> _Entry[J] | None:
        entry = self._entries.get(job.key)
        return entry if entry is not None and entry.job is job else None

    def _move(self, entry: _Entry[J], due: float) -> None:
        entry.due = due
        self._push(entry)

    def _push(self, entry: _Entry[J]) -> None:
        heapq.heappush(self._heap, (entry.due, next(self._sequence), entry))

    def _is_current(self, entry: _Entry[J], due: float) -> bool:
        """Whether that is still the entry's next turn, and the entry has not been taken out."""
        return entry.due == due and self._entries.get(entry.job.key) is entry


def _spread(entries: Iterable[_Entry[J]], start: float, spacing: float) -> None:
    for index, entry in enumerate(entries):
        entry.anchor = entry.due = start + index * spacing
