"""An estimate of the exchange's clock.

The exchange accepts ``server_time - recv_window <= timestamp < server_time + 1 s``. So all requests fail if this
machine's clock is one second ahead. Every answer contains the exchange's time, which keeps the estimate up to date.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .. import clock

MAX_AHEAD_SECONDS = 1.0
"""Maximum by which a timestamp may be ahead of the exchange's clock."""


class ServerClock:
    """The exchange's time, estimated from its answers."""

    def __init__(self, recv_window_seconds: float, wall: Callable[[], float] = clock.wall) -> None:
        self._wall = wall
        self._recv_window = recv_window_seconds
        self._correction = 0.0
        self.offset_seconds: float | None = None
        """The exchange's clock minus ours, by the latest answer; None before the first."""
        self.offset_at = -math.inf
        """When that answer was asked for (staleness clock)."""
        self.asked_at = -math.inf
        """When the request was sent whose answer set the correction (staleness clock)."""

    def now(self) -> float:
        """Unix time by the exchange's clock."""
        return self._wall() + self._correction

    def observe(self, server_time: float, sent_timestamp: float, received_timestamp: float, asked_at: float) -> None:
        """Updates the estimate from an accepted request: the answer's time, and when it was sent and received.

        ``server_time`` is Unix time by the exchange's clock. The answer to a request that was sent before the latest
        adopted one is ignored.

        The true offset lies between ``server_time - received_timestamp`` and ``server_time - sent_timestamp``. An
        estimate within these bounds does not change, so the noise of the network does not move it. The exchange would
        not have accepted a request with a larger offset, so a proxy may have cached the answer. Such an offset is
        published, but not used for timestamps.
        """
        if asked_at < self.asked_at:
            return
        lowest, highest = server_time - received_timestamp, server_time - sent_timestamp
        offset = self._correction
        if offset < lowest:
            offset = lowest
        elif offset > highest:
            offset = highest
        if -MAX_AHEAD_SECONDS <= offset - self._correction <= self._recv_window:
            self._correction, self.asked_at = offset, asked_at
        self.offset_seconds, self.offset_at = offset, asked_at

    def synchronise(
        self, server_time: float, sent_timestamp: float, received_timestamp: float, asked_at: float
    ) -> None:
        """Adopts the exchange's clock, after it has refused our timestamp. Arguments as those of `observe`."""
        if asked_at < self.asked_at:
            return
        self.asked_at = self.offset_at = asked_at
        self._correction = self.offset_seconds = server_time - (sent_timestamp + received_timestamp) / 2
