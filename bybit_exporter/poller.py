"""The loop: asks for each account at its time, with a bounded number of threads, and stores what comes back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from queue import SimpleQueue

import structlog

from . import clock, durations
from .bybit.client import Client
from .bybit.errors import INTERNAL, BybitError, Then
from .bybit.wallets import Reading, read_wallet
from .journal import Journal
from .model import Account, AccountSnapshot, FailureReason, PollResult
from .schedule import Schedule
from .store import Store

MAX_WORKERS = 64
"""So many accounts can hang at the same time before others wait for them."""

LONGEST_NAP_SECONDS = 1.0
"""The scheduler looks at the clock at least this often, since its own waits stop while the machine sleeps."""

_log = structlog.get_logger()


class Poller:
    """Polls accounts until it is stopped."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._schedule = Schedule()
        self._journal = Journal()
        self._client: Client | None = None
        self._changed = threading.Condition()
        self._queue: SimpleQueue[tuple[Client, Account]] = SimpleQueue()
        self._unfinished = 0
        self._workers: list[threading.Thread] = []
        self._stopping = False
        self._scheduler = threading.Thread(target=self._run, name="scheduler", daemon=True)

    def replace(self, client: Client, accounts: Sequence[Account], *, keep: bool = True) -> None:
        """Polls exactly these accounts from now on, with this client.

        An account that is configured as it was keeps its figures, counters and times, unless ``keep`` is false.
        """
        with self._changed:
            self._client = client
            self._journal.keep(accounts)
            self._store.replace_accounts(accounts, keep=keep)
            self._schedule.replace(accounts, clock.now(), client.gate.requests_per_second, keep=keep)
            self._changed.notify_all()

    def start(self) -> None:
        self._scheduler.start()

    def poll_once(self, accounts: Sequence[Account]) -> None:
        """Polls each account one time, and returns when all polls have ended."""
        with self._changed:
            for account in accounts:
                self._submit(account)
            self._changed.wait_for(lambda: not self._unfinished)

    def end_waits(self) -> None:
        """Asks at once whomever a refusal has put off."""
        with self._changed:
            assert self._client is not None
            gate = self._client.gate
            gate.open()
            self._schedule.release(clock.now(), 2 / gate.requests_per_second)
            self._changed.notify_all()

    def stop(self, patience_seconds: float) -> None:
        """Starts no further poll, and waits this long at most for those under way."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._unfinished, patience_seconds)

    def _run(self) -> None:
        with self._changed:
            while not self._stopping:
                for account in self._schedule.take_due(clock.now()):
                    self._submit(account)
                nap = self._schedule.next_at - clock.now()
                self._changed.wait(min(max(nap, 0.0), LONGEST_NAP_SECONDS))

    def _submit(self, account: Account) -> None:
        """Hands the account to a worker; to a new one if all are busy and there may be more."""
        assert self._client is not None
        self._unfinished += 1
        self._queue.put((self._client, account))
        if len(self._workers) < min(self._unfinished, MAX_WORKERS):
            worker = threading.Thread(target=self._work, name=f"poll-{len(self._workers)}", daemon=True)
            try:
                worker.start()
            except RuntimeError as error:  # the system allows no more threads: those that there are take turns
                _log.debug("cannot start a worker", workers=len(self._workers), error=str(error))
            else:
                self._workers.append(worker)

    def _work(self) -> None:
        while True:
            client, account = self._queue.get()
            try:
                if not self._stopping:
                    self._poll(client, account)
            except Exception:
                with contextlib.suppress(Exception):  # it may be the log that fails
                    _log.exception("the end of a poll was lost", account=account.name)
            with self._changed:
                self._schedule.finished(account)  # only now that it is stored: nothing newer may be overwritten by it
                self._unfinished -= 1
                if not self._unfinished:
                    self._changed.notify_all()

    def _poll(self, client: Client, account: Account) -> None:
        started = clock.now()
        outcome = _read(client, account)
        # The poll has ended when its answer came: the process may have been stopped since.
        ended = outcome.received_at if isinstance(outcome, Reading) else clock.now()
        next_at = self._settle(client, account, outcome, ended)
        if next_at is None:  # the account was taken out meanwhile
            return
        self._store.record(account, _result(outcome, started, ended), _wall(next_at))
        self._store.update_exporter(clock_offset_seconds=client.clock.offset_seconds)
        _log.debug("polled", account=account.name, seconds=round(ended - started, 3))
        if isinstance(outcome, Reading):
            self._journal.succeeded(account, outcome.snapshot, ended)
        else:
            self._journal.failed(account, outcome, ended, next_at - ended)

    def _settle(self, client: Client, account: Account, outcome: Reading | BybitError, ended: float) -> float | None:
        """Settles when the account is asked next, and returns that (staleness clock)."""
        wait = 0.0
        if isinstance(outcome, BybitError) and outcome.rule.then is not Then.SILENCE:  # silence is the gate's
            wait = outcome.wait_seconds(client.clock.now())
        with self._changed:
            next_at = self._schedule.postpone(account, ended + wait)
            silent_until = client.gate.closed_until
            held = self._schedule.hold(silent_until) if silent_until > ended else []
        for other, due in held:
            self._store.reschedule(other, _wall(due))
            if other is account:
                next_at = due
        if held:
            silence = durations.show(round(silent_until - ended))
            _log.error("the exchange shuts out this address: no account is asked", silence=silence, accounts=len(held))
        return next_at


def _read(client: Client, account: Account) -> Reading | BybitError:
    try:
        return read_wallet(client, account)
    except BybitError as error:
        return error
    except Exception as error:
        fault = BybitError(INTERNAL, f"{type(error).__name__} in the exporter", code=type(error).__name__)
        fault.__cause__ = error
        return fault


def _result(outcome: Reading | BybitError, started: float, ended: float) -> PollResult:
    ending: AccountSnapshot | FailureReason
    if isinstance(outcome, BybitError):
        ending, message = outcome.reason, f"{outcome}; {outcome.rule.advice}"
    else:
        ending, message = outcome.snapshot, ""
    return PollResult(
        outcome=ending,
        message=message,
        # A figure may be as old as the question: the answer may have been long on its way.
        asked_at=started if isinstance(outcome, BybitError) else outcome.asked_at,
        ended_timestamp=_wall(ended),
        duration_seconds=ended - started,
        rate_limits=outcome.rate_limits,
    )


def _wall(moment: float) -> float:
    """Unix time of a moment of the staleness clock."""
    return clock.wall() + (moment - clock.now())
