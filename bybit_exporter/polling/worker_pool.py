"""The threads: a bounded number of workers run each job when it is due."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import structlog

from .. import clock
from .jobs import Job
from .schedule import Schedule

MAX_WORKERS = 256
"""Maximum number of jobs that run at once."""

WAITING_WORKERS = 2
"""Number of idle workers that wait for the next jobs to be due. Further idle workers sleep until they are needed."""

MAX_WAIT_SECONDS = 1.0
"""A waiting worker looks at the clock at least this often, since waits stop while the machine sleeps."""

_log = structlog.get_logger()


class WorkerPool:
    """Runs each job when it is due, until it is stopped. Safe for several threads.

    An idle worker waits for a job that no other worker waits for, and then runs it, so each run wakes one thread. At
    least one worker waits at any time, unless the pool has its maximum size.
    """

    def __init__(self, run: Callable[[Job[Any]], None]) -> None:
        self._run = run
        self._schedule = Schedule()
        lock = threading.RLock()  # one for everything here; each kind of thread has a condition to wait for
        self._changed = threading.Condition(lock)
        """Waiting workers: the schedule has changed."""
        self._needed = threading.Condition(lock)
        """Sleeping workers: one of them has to wait for a job."""
        self._idle = threading.Condition(lock)
        """Callers of `run_once` and `stop`: no job runs."""
        self._once: deque[Job[Any]] = deque()
        self._running = 0
        self._workers = self._waiting = 0
        self._sleeping = 0
        """Workers that sleep and have not been notified. Who notifies one subtracts it, so that none is woken twice."""
        self._started = self._stopping = False

    def replace(self, jobs: Iterable[Job[Any]], requests_per_second: float, *, keep: bool) -> None:
        """See `Schedule.replace`."""
        with self._changed:
            self._schedule.replace(jobs, clock.now(), requests_per_second, keep=keep)
            self._changed.notify_all()

    def has(self, job: Job[Any]) -> bool:
        """See `Schedule.has`."""
        with self._changed:
            return self._schedule.has(job)

    def start(self) -> None:
        with self._changed:
            self._started = True
            self._add_waiting_worker()

    def run_once(self, jobs: Sequence[Job[Any]]) -> None:
        """Runs each job once, and returns when all have ended."""
        with self._changed:
            self._once.extend(jobs)
            for _ in jobs:
                self._add_waiting_worker()
            self._idle.wait_for(lambda: self._stopping or not (self._once or self._running))

    def delay(self, job: Job[Any], not_before: float, *, releasable: bool) -> float | None:
        """See `Schedule.delay`."""
        with self._changed:
            return self._schedule.delay(job, not_before, releasable=releasable)

    def delay_all(self, not_before: float) -> list[tuple[Job[Any], float]]:
        """See `Schedule.delay_all`."""
        with self._changed:
            return self._schedule.delay_all(not_before)

    def release(self, spacing_seconds: float) -> None:
        """See `Schedule.release`."""
        with self._changed:
            self._schedule.release(clock.now(), spacing_seconds)
            self._changed.notify_all()

    def stop(self, timeout_seconds: float) -> None:
        """Starts no further jobs, and waits at most this long for those that run."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            self._needed.notify_all()
            self._idle.notify_all()
            self._idle.wait_for(lambda: not self._running, timeout_seconds)

    def _add_waiting_worker(self) -> None:
        """Wakes a sleeping worker, or else starts one if the pool may grow."""
        if self._sleeping:
            self._sleeping -= 1
            self._needed.notify()
        elif self._workers < MAX_WORKERS:
            worker = threading.Thread(target=self._work, name=f"poll-{self._workers}", daemon=True)
            try:
                worker.start()
            except RuntimeError as error:  # the system allows no more threads: the existing ones share the jobs
                if not self._workers:
                    raise
                _log.debug("cannot start a worker", workers=self._workers, error=str(error))
            else:
                self._workers += 1

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                self._run(job)
            except Exception:
                with contextlib.suppress(Exception):  # the log itself may fail
                    _log.exception("the result of a job was lost", job=str(job.key))
            with self._changed:
                self._schedule.finished(job)  # after its result is stored, so that it cannot replace a newer one
                self._running -= 1
                if not self._running:
                    self._idle.notify_all()

    def _next(self) -> Job[Any] | None:
        """Waits until a job is due; None if the worker must end."""
        with self._changed:
            job = None
            while job is None:
                if self._stopping or not (self._started or self._once):
                    self._workers -= 1
                    return None
                if self._once:
                    job = self._once.popleft()
                elif self._waiting < WAITING_WORKERS:
                    job = self._wait_until_due()
                else:
                    self._sleeping += 1
                    self._needed.wait()
            self._running += 1
            if self._started and not self._waiting:
                self._add_waiting_worker()
            return job

    def _wait_until_due(self) -> Job[Any] | None:
        """Waits for the first job that no other worker waits for. Returns None if another job may be due first.

        The reserved run is not in the schedule's heap meanwhile. A run that is added before it wakes nobody: it is
        found when a worker is idle next, or after `MAX_WAIT_SECONDS` at the latest.
        """
        reserved = self._schedule.reserve()
        wait = MAX_WAIT_SECONDS if reserved is None else min(reserved.due - clock.now(), MAX_WAIT_SECONDS)
        if wait > 0:
            self._waiting += 1
            self._changed.wait(wait)
            self._waiting -= 1
        return self._schedule.take(reserved, clock.now()) if reserved and not self._stopping else None
