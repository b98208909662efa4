"""The polling loop: runs each job when it is due, and passes its result to the store and to the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog

from .. import clock, durations
from ..bybit.client import Client
from ..bybit.rate_limiter import Closed
from ..metrics.store import Store
from ..model import JobResult, Resource
from .jobs import Job
from .transition_log import TransitionLog
from .worker_pool import WorkerPool

_log = structlog.get_logger()


class Poller:
    """Runs jobs by its worker pool, which the caller starts and stops."""

    def __init__(self, store: Store, transition_log: TransitionLog) -> None:
        self._store = store
        self._transition_log = transition_log
        self.workers = WorkerPool(self._run)
        self._exchange: tuple[Client, int]
        """The client and the number of its exchange (`Store.exchange`). Set by `replace`, before any job runs."""
        self._clock_stale_after_seconds = 0.0

    def replace(self, client: Client, jobs: Sequence[Job[Any]], *, keep: bool) -> None:
        """Replaces the client and all jobs, after those of the store.

        An unchanged job keeps its times, unless ``keep`` is false. The clock offset expires when no answer has come for
        the longest ``stale_after``: no account has figures then.
        """
        self._exchange = client, self._store.exchange
        accounts = [job.account for job in jobs if job.resource is Resource.WALLET]
        self._clock_stale_after_seconds = max((each.stale_after_seconds for each in accounts), default=0.0)
        self.workers.replace(jobs, client.rate_limiter.requests_per_second, keep=keep)

    def release(self) -> None:
        """Reschedules every delayed job to run now."""
        client, _ = self._exchange
        rate_limiter = client.rate_limiter
        rate_limiter.unblock()
        self.workers.release(2 / rate_limiter.requests_per_second)

    def _run(self, job: Job[Any]) -> None:
        client, exchange = self._exchange
        try:
            result = job.run(client)
        except Closed:  # a reload has replaced the client, and perhaps the job
            if self.workers.has(job):
                self._run(job)
            return
        if result is None:
            self.workers.delay(job, clock.now() + job.idle_seconds(), releasable=False)
            return
        next_run_at = self._reschedule(client, job, result)
        if next_run_at is None:  # a reload has removed the job
            return
        next_run_timestamp = clock.timestamp_of(next_run_at)
        if self._store.apply(result, next_run_timestamp, exchange):
            offset_expires_at = client.clock.offset_at + self._clock_stale_after_seconds
            self._store.set_clock_offset(client.clock.offset_seconds, offset_expires_at)
            self._transition_log.record(result, next_run_timestamp)

    def _reschedule(self, client: Client, job: Job[Any], result: JobResult[Any]) -> float | None:
        """Delays the job as its result requires. Returns when it runs next; None if a reload has removed it."""
        not_before = result.ended_at + result.delay_seconds
        next_run_at = self.workers.delay(job, not_before, releasable=result.failure is not None)
        if next_run_at is None or not result.pauses_all:
            return next_run_at
        blocked_until = client.rate_limiter.blocked_until  # 0 if a reload has ended the block meanwhile
        # Only a poll delays all jobs. After any other job, the next poll has to meet the block, so that its failure is
        # counted: alerts look at that count.
        if result.resource is Resource.WALLET:
            self._pause_all(blocked_until, result)
        return self.workers.delay(job, blocked_until, releasable=True)

    def _pause_all(self, until: float, result: JobResult[Any]) -> None:
        """Delays all jobs to this moment or later."""
        delayed = self.workers.delay_all(until) if until > result.ended_at else []
        for job, due in delayed:
            if job.resource is Resource.WALLET:
                self._store.set_next_poll(job.account, clock.timestamp_of(due))
        if delayed:
            _log.error(
                "the exchange blocks this address: all requests are paused",
                pause=durations.show(round(until - result.ended_at)),
                accounts=sum(job.resource is Resource.WALLET for job, _ in delayed),
            )
