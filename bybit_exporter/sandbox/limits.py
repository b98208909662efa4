"""Rate limits: rolling windows per UID and endpoint, and the limit per source address.

Follows https://bybit-exchange.github.io/docs/v5/rate-limit
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``requests`` in any period of ``seconds``."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an exchange. ``uid`` replaces the limit of each endpoint. ``ip=None``: no limit per address."""

    uid: RateLimit | None = None
    ip: RateLimit | None = RateLimit(600, 5.0)
    ip_ban_seconds: float = 600.0


#: No request exceeds these limits, and no request is kept in a window.
UNLIMITED = Limits(uid=RateLimit(1_000_000_000, 0.0), ip=None)


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of a limit, and when the next request is allowed, by the clock given to the window."""

    limit: int
    remaining: int
    resets_at: float
    exceeded: bool = False


class RollingWindow:
    """The requests of the latest period. A request made at t counts until, and not including, t + seconds."""

    def __init__(self) -> None:
        self._allowed: deque[float] = deque()

    def peek(self, limit: RateLimit, now: float) -> Quota:
        """What is left. Counts no request."""
        while self._allowed and self._allowed[0] + limit.seconds <= now:
            self._allowed.popleft()
        remaining = limit.requests - len(self._allowed)
        if remaining > 0:
            return Quota(limit.requests, remaining, now)
        first_to_leave = self._allowed[-limit.requests] if limit.requests else now
        return Quota(limit.requests, 0, first_to_leave + limit.seconds, exceeded=True)

    def acquire(self, limit: RateLimit, now: float) -> Quota:
        """Count one request if the limit allows it. A refused request does not count."""
        quota = self.peek(limit, now)
        if quota.exceeded:
            return quota
        self._allowed.append(now)
        return Quota(limit.requests, quota.remaining - 1, now)


class AddressLimiter:
    """Bans an address that exceeds its limit, until it has sent no request for the length of the ban."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._windows: dict[str, RollingWindow] = {}
        self._banned_until: dict[str, float] = {}

    def acquire(self, address: str, now: float) -> bool:
        """Count one request. False: the address is banned; a request during a ban prolongs it."""
        if self._limits.ip is None:
            return True
        window = self._windows.setdefault(address, RollingWindow())
        banned = now < self._banned_until.get(address, now)
        if not banned and not window.acquire(self._limits.ip, now).exceeded:
            return True
        self._banned_until[address] = now + self._limits.ip_ban_seconds
        return False
