"""Reloads the configuration on a thread of its own, so that a file that cannot be read at once delays nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future


class ReloadThread:
    """Runs ``reload`` on request, one at a time.

    All requests that come while it runs are served by one further run, which reads what they ask to be read.
    The process ends without waiting for this thread.
    """

    def __init__(self, reload: Callable[[], None]) -> None:
        self._reload = reload
        self._changed = threading.Condition()
        self._requested: Future[None] | None = None
        threading.Thread(target=self._run, name="reload", daemon=True).start()

    def request(self) -> Future[None]:
        """Requests a reload that begins from now on. The future has its end, or the exception that it raised."""
        with self._changed:
            if self._requested is None:
                self._requested = Future()
                self._requested.set_running_or_notify_cancel()  # who does not wait any more cannot cancel it for others
                self._changed.notify()
            return self._requested

    def _run(self) -> None:
        while True:
            future = self._next()
            try:
                self._reload()
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(None)

    def _next(self) -> Future[None]:
        with self._changed:
            while self._requested is None:
                self._changed.wait()
            future, self._requested = self._requested, None
            return future
