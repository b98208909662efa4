"""Limits the rate of all requests, and stops them while the exchange blocks this IP address."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .. import clock
from .errors import IP_RATE_LIMIT, BybitError


class Closed(Exception):
    """A reload has replaced the rate limiter and its client."""


class RateLimiter:
    """Spaces the requests of all threads evenly, at ``requests_per_second``."""

    def __init__(
        self,
        requests_per_second: float,
        now: Callable[[], float] = clock.now,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.requests_per_second = requests_per_second
        self._now = now
        self._closed = threading.Event()
        self.sleep = sleep or self._closed.wait
        """Waits this many seconds, or until the limiter is closed."""
        self._lock = threading.Lock()
        self._next_at = 0.0
        self.blocked_until = 0.0
        """No request is sent before this moment (staleness clock)."""

    def acquire(self) -> None:
        """Waits until the caller may send one request.

        Raises:
            BybitError: ``ip_rate_limit`` while requests are blocked.
            Closed: the limiter is closed.
        """
        self._raise_if_stopped()
        with self._lock:
            at = max(self._next_at, self._now())
            self._next_at = at + 1 / self.requests_per_second
        if (ahead := at - self._now()) > 0:
            self.sleep(ahead)
        self._raise_if_stopped()

    def _raise_if_stopped(self) -> None:
        if self._closed.is_set():
            raise Closed
        if (left := self.blocked_until - self._now()) > 0:
            raise BybitError(IP_RATE_LIMIT, f"no request is sent for another {left:.0f} s")

    def block(self, seconds: float) -> None:
        """Blocks all requests for this long. A shorter block does not end a longer one."""
        with self._lock:
            self.blocked_until = max(self.blocked_until, self._now() + seconds)

    def close(self) -> None:
        """Allows no further request, and ends all waits."""
        self._closed.set()

    def unblock(self) -> None:
        """Ends the block."""
        with self._lock:
            self.blocked_until = 0.0
