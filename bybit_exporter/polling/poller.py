"""The loop: takes up each task at its time, with a bounded number of threads."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import structlog

from .. import clock, durations
from ..bybit.client import Answer, Client
from ..bybit.errors import INTERNAL, BybitError, RetryPolicy
from ..metrics.store import Store
from .jobs import Task, Turn
from .schedule import Schedule

MAX_WORKERS = 256
"""So many tasks can hang at the same time before others wait for them."""

ENOUGH_WAITING = 2
"""So many workers wait for the next turns; the others sleep until there are fewer."""

LONGEST_NAP_SECONDS = 1.0
"""Whoever waits looks at the clock at least this often, since waits stop while the machine sleeps."""

_log = structlog.get_logger()

Outcome = Answer[Any] | BybitError | None


class Poller:
    """Takes up tasks until it is stopped.

    Whoever has nothing to do waits for a turn that nobody else waits for, and then takes it himself: so each turn wakes
    one thread. There is always one that waits, as long as there may be more threads.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._schedule: Schedule[Task[Any]] = Schedule()
        self._client: Client | None = None
        lock = threading.RLock()
        self._changed, self._needed, self._idle = (threading.Condition(lock) for _ in range(3))
        self._once: deque[Task[Any]] = deque()
        self._unfinished = 0
        self._workers = self._waiting = self._spare = 0
        self._started = self._stopping = False

    def replace(self, client: Client, tasks: Sequence[Task[Any]], *, keep: bool = True) -> None:
        """Takes up exactly these tasks from now on, with this client.

        A task that is what it was keeps its times, unless ``keep`` is false.
        """
        with self._changed:
            self._client = client
            self._schedule.replace(tasks, clock.now(), client.rate_limiter.requests_per_second, keep=keep)
            self._changed.notify_all()

    def start(self) -> None:
        with self._changed:
            self._started = True
            self._call_worker()

    def run_once(self, tasks: Sequence[Task[Any]]) -> None:
        """Takes up each task one time, and returns when all have ended."""
        with self._changed:
            self._once.extend(tasks)
            for _ in tasks:
                self._call_worker()
            self._idle.wait_for(lambda: not self._once and not self._unfinished)

    def end_waits(self) -> None:
        """Asks at once whomever a refusal has put off."""
        with self._changed:
            assert self._client is not None
            rate_limiter = self._client.rate_limiter
            rate_limiter.unblock()
            self._schedule.release(clock.now(), 2 / rate_limiter.requests_per_second)
            self._changed.notify_all()

    def stop(self, patience_seconds: float) -> None:
        """Starts no further poll, and waits this long at most for those under way."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            self._needed.notify_all()
            self._idle.wait_for(lambda: not self._unfinished, patience_seconds)

    def _call_worker(self) -> None:
        """Has one more worker wait for a turn: one that was not needed, or else a new one if there may be more."""
        if self._spare:
            self._spare -= 1
            self._needed.notify()
        elif self._workers < MAX_WORKERS:
            worker = threading.Thread(target=self._work, name=f"poll-{self._workers}", daemon=True)
            try:
                worker.start()
            except RuntimeError as error:  # the system allows no more threads: those that there are take turns
                if not self._workers:
                    raise
                _log.debug("cannot start a worker", workers=self._workers, error=str(error))
            else:
                self._workers += 1

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            client, task = taken
            try:
                self._take_up(client, task)
            except Exception:
                with contextlib.suppress(Exception):  # it may be the log that fails
                    _log.exception("the end of a poll was lost", what=task.what, account=task.key[1])
            with self._changed:
                self._schedule.finished(task)  # only now that it is stored: nothing newer may be overwritten by it
                self._unfinished -= 1
                if not self._unfinished:
                    self._idle.notify_all()

    def _next(self) -> tuple[Client, Task[Any]] | None:
        """Waits until there is something to do; None if there will be nothing any more."""
        with self._changed:
            task = None
            while task is None:
                if self._stopping or not (self._started or self._once):
                    self._workers -= 1
                    return None
                if self._once:
                    task = self._once.popleft()
                elif self._waiting < ENOUGH_WAITING:
                    task = self._wait_for_a_turn()
                else:
                    self._spare += 1
                    self._needed.wait()
            assert self._client is not None
            self._unfinished += 1
            if self._started and not self._waiting:
                self._call_worker()
            return self._client, task

    def _wait_for_a_turn(self) -> Task[Any] | None:
        """The task whose turn has come; None if it was not to be, and there may be another to wait for."""
        reserved = self._schedule.reserve()
        nap = LONGEST_NAP_SECONDS if reserved is None else min(reserved.due - clock.now(), LONGEST_NAP_SECONDS)
        if nap > 0:
            self._waiting += 1
            self._changed.wait(nap)
            self._waiting -= 1
        return self._schedule.take(reserved, clock.now()) if reserved and not self._stopping else None

    def _take_up(self, client: Client, task: Task[Any]) -> None:
        started = clock.now()
        outcome = _ask(client, task)
        # It has ended when its answer came: the process may have been stopped since.
        ended = outcome.received_at if isinstance(outcome, Answer) else clock.now()
        next_at = self._settle(client, task, outcome, ended)
        if outcome is None or next_at is None:  # there was nothing to ask, or the task was taken out meanwhile
            return
        task.take_in(outcome, Turn(started, ended, _wall(ended), next_at, _wall(next_at)))
        self._store.clock_offset(client.clock.offset_seconds)
        _log.debug("asked", what=task.what, account=task.key[1], seconds=round(ended - started, 3))

    def _settle(self, client: Client, task: Task[Any], outcome: Outcome, ended: float) -> float | None:
        """Settles when the task is taken up next, and returns that (staleness clock)."""
        error = outcome if isinstance(outcome, BybitError) else None
        wait = 0.0
        if error is None or error.rule.retry is not RetryPolicy.PAUSE_ALL:  # silence is the rate_limiter's
            wait = task.wait_seconds(outcome, client.clock.now())
        with self._changed:
            next_at = self._schedule.postpone(task, ended + wait, waiting=error is not None)
            # Only a poll that met the block delays the others: it counts that failure, which alerts look at.
            silent_until = client.rate_limiter.blocked_until if task.is_poll else 0.0
            held = self._schedule.hold(silent_until) if silent_until > ended else []
        for other, due in held:
            other.reschedule(_wall(due))
            if other is task:
                next_at = due
        if held:
            silence = durations.show(round(silent_until - ended))
            accounts = sum(other.is_poll for other, _ in held)
            _log.error("the exchange shuts out this address: no account is asked", silence=silence, accounts=accounts)
        return next_at


def _ask(client: Client, task: Task[Any]) -> Outcome:
    try:
        return task.ask(client)
    except BybitError as error:
        return error
    except Exception as error:
        fault = BybitError(INTERNAL, f"{type(error).__name__} in the exporter", code=type(error).__name__)
        fault.__cause__ = error
        return fault


def _wall(moment: float) -> float:
    """Unix time of a moment of the staleness clock."""
    return clock.wall() + (moment - clock.now())
