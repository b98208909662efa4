"""The rate limit of the web configuration."""

from __future__ import annotations

from collections.abc import Callable

from .web_config import RateLimit


class TokenBucket:
    """Rate limiter. It starts full; each request takes a token, and each interval adds one."""

    def __init__(self, limit: RateLimit, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._tokens = float(limit.burst)
        self._updated = clock()

    def take(self) -> bool:
        """Takes a token. Returns False if there is none."""
        now = self._clock()
        self._tokens += (now - self._updated) / self._limit.interval_seconds
        self._tokens = min(self._tokens, float(self._limit.burst))
        self._updated = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
