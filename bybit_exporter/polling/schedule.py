"""When each job runs: arithmetic on the staleness clock, no threads.

Each job has a fixed grid of moments, one interval apart. Long runs and delays do not move the grid. The grids of
different jobs are offset, so that the jobs do not all run at once.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

FIRST_ROUND_SECONDS = 1.0
"""The first round of polls is spread over this time, or longer if the limit on requests requires it."""

POLLS_SHARE = 0.5
"""The share of the permitted rate of requests for the first round of polls. The rest is for retries and other jobs."""


class Schedulable(Protocol):
    """A job that runs at an interval. Equal jobs are the same job, also after a reload."""

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
    """Any moment of the job's grid."""
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
    """The next run of a job, for which one worker waits."""

    due: float
    entry: _Entry[J]


class Schedule(Generic[J]):
    """The jobs, and when each runs next."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry[J]] = {}
        self._heap: list[tuple[float, int, _Entry[J]]] = []
        self._sequence = itertools.count()

    def replace(self, jobs: Iterable[J], now: float, requests_per_second: float, *, keep: bool = True) -> None:
        """Replaces all jobs.

        An unchanged job keeps its times, unless ``keep`` is false. New jobs are spread: the first poll is due now, jobs
        of other kinds a little later.
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
        """Reserves the first run that is not reserved; None if there is none. `take` ends the reservation."""
        while self._heap:
            due, _, entry = heapq.heappop(self._heap)
            if self._is_current(entry, due):  # it has not been moved since it was pushed
                return Reservation(due, entry)
        return None

    def take(self, reserved: Reservation[J], now: float) -> J | None:
        """Returns the job if it is due, else None. A job that is still running misses this run."""
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
        """Delays the next run to this moment or later. ``releasable``: `release` ends the delay.

        Returns:
            when the job runs next; None if it has been removed.
        """
        entry = self._entry(job)
        if entry is None:
            return None
        if entry.due < not_before:
            entry.releasable = releasable
            self._move(entry, entry.next_after(not_before))
        return entry.due

    def finished(self, job: J) -> None:
        """Marks a run as ended, so that the next one may begin."""
        if (entry := self._entry(job)) is not None:
            entry.running = False

    def delay_all(self, not_before: float) -> list[tuple[J, float]]:
        """Delays all jobs to this moment or later. Returns the delayed jobs and when each runs next."""
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
        """Whether the entry is still due at this moment, and has not been removed."""
        return entry.due == due and self._entries.get(entry.job.key) is entry


def _spread(entries: Iterable[_Entry[J]], start: float, spacing: float) -> None:
    for index, entry in enumerate(entries):
        entry.anchor = entry.due = start + index * spacing
