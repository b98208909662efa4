"""What this machine knows of the exchange's clock.

The exchange accepts ``server_time - recv_window <= timestamp < server_time + 1 s``, so a clock that is one second
ahead fails every request. Every answer carries the exchange's time, which keeps the correction up.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import clock

AHEAD_SECONDS = 1.0
"""So far may a timestamp be ahead of the exchange's clock."""


class ServerClock:
    """The exchange's time, estimated from its answers."""

    def __init__(self, recv_window_seconds: float, wall: Callable[[], float] = clock.wall) -> None:
        self._wall = wall
        self._recv_window = recv_window_seconds
        self._correction = 0.0
        self.offset_seconds: float | None = None
        """The exchange's clock minus ours, by the latest answer; None before the first."""

    def now(self) -> float:
        """Unix time by the exchange's clock."""
        return self._wall() + self._correction

    def observe(self, server_time: float, sent: float, received: float) -> None:
        """Takes in the time (Unix, of the exchange) that an accepted request's answer bears.

        The true offset lies between ``server_time - received`` and ``server_time - sent`` (our wall clock). One that
        is within these bounds is left alone, so that the noise of the network does not move it. An answer further off
        than the exchange tolerates contradicts its own acceptance, as one does that a proxy has kept: it is shown, but
        our timestamps do not follow it.
        """
        self.offset_seconds = min(max(self._correction, server_time - received), server_time - sent)
        if -AHEAD_SECONDS <= self.offset_seconds - self._correction <= self._recv_window:
            self._correction = self.offset_seconds

    def synchronise(self, server_time: float, sent: float, received: float) -> None:
        """Takes over the exchange's clock, after it has refused our timestamp."""
        self._correction = self.offset_seconds = server_time - (sent + received) / 2
