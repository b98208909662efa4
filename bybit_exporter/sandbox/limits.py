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
    """What an exchange allows. ``uid`` replaces each endpoint's own limit; ``ip=None`` lifts that one."""

    uid: RateLimit | None = None
    ip: RateLimit | None = RateLimit(600, 5.0)
    ip_ban_seconds: float = 600.0


#: Nothing is ever too much, nor remembered.
UNLIMITED = Limits(uid=RateLimit(1_000_000_000, 0.0), ip=None)


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of a limit, and when (by the clock the window was asked with) the next one is let in."""

    limit: int
    remaining: int
    resets_at: float
    exceeded: bool = False


class RollingWindow:
    """The requests let in lately. One made at t counts until, and not including, t + seconds."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque()

    def look(self, limit: RateLimit, now: float) -> Quota:
        """What is left, taking nothing."""
        while self._taken and self._taken[0] + limit.seconds <= now:
            self._taken.popleft()
        remaining = limit.requests - len(self._taken)
        if remaining > 0:
            return Quota(limit.requests, remaining, now)
        first_to_leave = self._taken[-limit.requests] if limit.requests else now
        return Quota(limit.requests, 0, first_to_leave + limit.seconds, exceeded=True)

    def take(self, limit: RateLimit, now: float) -> Quota:
        """Let one request in if there is room. A refused request does not count."""
        quota = self.look(limit, now)
        if quota.exceeded:
            return quota
        self._taken.append(now)
        return Quota(limit.requests, quota.remaining - 1, now)


class AddressGuard:
    """Shuts out an address that asks too often until it has been silent for the whole ban."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._windows: dict[str, RollingWindow] = {}
        self._banned_until: dict[str, float] = {}

    def admits(self, address: str, now: float) -> bool:
        """Whether this request may pass. Asking during a ban prolongs it."""
        if self._limits.ip is None:
            return True
        window = self._windows.setdefault(address, RollingWindow())
        banned = now < self._banned_until.get(address, now)
        if not banned and not window.take(self._limits.ip, now).exceeded:
            return True
        self._banned_until[address] = now + self._limits.ip_ban_seconds
        return False
