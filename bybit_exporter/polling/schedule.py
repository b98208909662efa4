"""When each job runs: arithmetic on the staleness clock, no threads.

Each job has a fixed grid of moments, one interval apart. Long runs and delays do not move the grid. The grids of
different jobs are offset, so that the jobs do not all run at once.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..model import Resource
from .jobs import Job

FIRST_ROUND_SECONDS = 1.0
"""The first round of polls is spread over this time, or longer if the limit on requests requires it."""


@dataclass(slots=True, eq=False)
class _Entry:
    job: Job[Any]
    anchor: float
    """The first moment of the job's grid."""
    due: float
    running: bool = False
    releasable: bool = False
    """Whether a failure has delayed it, so that `Schedule.release` ends the delay."""

    def next_after(self, moment: float) -> float:
        """The first moment of the grid after this one."""
        interval = self.job.interval_seconds
        following = self.anchor + interval * (math.floor((moment - self.anchor) / interval) + 1)
        return following if following > moment else following + interval  # rounding


class Reservation(NamedTuple):
    """The next run of a job, for which one worker waits."""

    due: float
    entry: _Entry


class Schedule:
    """The jobs, and when each runs next."""

    def __init__(self) -> None:
        self._entries: dict[tuple[Resource, str], _Entry] = {}
        self._heap: list[tuple[float, int, _Entry]] = []
        self._sequence = itertools.count()

    def replace(self, jobs: Iterable[Job[Any]], now: float, requests_per_second: float, *, keep: bool) -> None:
        """Replaces all jobs.

        An unchanged job keeps its times, unless ``keep`` is false. Jobs that are new, or have not been due yet, are
        spread. The first poll is due now, and jobs of other kinds a little later: if our clock is wrong, that poll
        corrects it.
        """
        kept = self._entries if keep else {}
        self._entries = {}
        new = []
        for job in jobs:
            entry = kept.get(job.key)
            if entry is None or entry.job != job:
                entry = _Entry(job, math.inf, math.inf)
            if entry.anchor > now:
                new.append(entry)
            self._entries[job.key] = entry
        # Jobs with the same share of the rate take turns, and each group starts on its own. The polls are one.
        for share in {entry.job.start_share for entry in new}:
            alike = [entry for entry in new if entry.job.start_share == share]
            spacing = 1 / (share * requests_per_second)
            start = now + spacing
            if alike[0].job.resource is Resource.WALLET:
                start, spacing = now, max(FIRST_ROUND_SECONDS / len(alike), spacing)
            for index, entry in enumerate(alike):
                entry.anchor = entry.due = start + index * spacing
        self._heap = []
        for entry in self._entries.values():
            self._move(entry, entry.due)

    def reserve(self) -> Reservation | None:
        """Reserves the first run that is not reserved; None if there is none. `take` ends the reservation."""
        while self._heap:
            due, _, entry = heapq.heappop(self._heap)
            if self._is_current(entry, due):  # it has not been moved since it was pushed
                return Reservation(due, entry)
        return None

    def take(self, reserved: Reservation, now: float) -> Job[Any] | None:
        """Returns the job if it is due, else None. A job that is still running misses this run."""
        due, entry = reserved
        if not self._is_current(entry, due):
            return None
        if due > now:
            self._move(entry, due)
            return None
        self._move(entry, entry.next_after(now))
        if entry.running:
            return None
        entry.running, entry.releasable = True, False
        return entry.job

    def delay(self, job: Job[Any], not_before: float, *, releasable: bool) -> float | None:
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

    def has(self, job: Job[Any]) -> bool:
        """Whether the job has not been removed or replaced."""
        return self._entry(job) is not None

    def finished(self, job: Job[Any]) -> None:
        """Marks a run as ended, so that the next one may begin."""
        if (entry := self._entry(job)) is not None:
            entry.running = False

    def delay_all(self, not_before: float) -> list[tuple[Job[Any], float]]:
        """Delays all jobs to this moment or later. Returns the delayed jobs and when each runs next."""
        delayed = []
        for entry in self._entries.values():
            if entry.due < not_before:
                entry.releasable = True
                self._move(entry, entry.next_after(not_before))
                delayed.append((entry.job, entry.due))
        return delayed

    def release(self, now: float, spacing_seconds: float) -> None:
        """Ends all delays: the delayed jobs are due from now on, one after the other."""
        delayed = [entry for entry in self._entries.values() if entry.releasable]
        for index, entry in enumerate(delayed):
            entry.releasable = False
            self._move(entry, now + index * spacing_seconds)

    def _entry(self, job: Job[Any]) -> _Entry | None:
        entry = self._entries.get(job.key)
        return entry if entry is not None and entry.job is job else None

    def _move(self, entry: _Entry, due: float) -> None:
        entry.due = due
        heapq.heappush(self._heap, (due, next(self._sequence), entry))

    def _is_current(self, entry: _Entry, due: float) -> bool:
        """Whether the entry is still due at this moment, and has not been removed."""
        return entry.due == due and self._entries.get(entry.job.key) is entry
