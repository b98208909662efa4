"""Reloads the configuration on a thread of its own, so that a file system that hangs delays nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue


class ReloadThread:
    """Runs ``reload`` on request, one at a time.

    All requests that come while it runs are served by one further run, which reads the files as they are by then.
    The process ends without waiting for this thread.
    """

    def __init__(self, reload: Callable[[], None]) -> None:
        self._reload = reload
        self._requests: SimpleQueue[Future[None]] = SimpleQueue()
        threading.Thread(target=self._run, name="reload", daemon=True).start()

    def request(self) -> Future[None]:
        """Requests a reload that begins after this call. The future ends with it, and has its exception if it fails."""
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # else a client that leaves would cancel it
        self._requests.put(future)
        return future

    def _run(self) -> None:
        while True:
            futures = [self._requests.get()]
            while not self._requests.empty():
                futures.append(self._requests.get())
            try:
                self._reload()
            except Exception as error:
                for future in futures:
                    future.set_exception(error)
            else:
                for future in futures:
                    future.set_result(None)
