"""The two clocks of the exporter.

`wall` is Unix time, for timestamps that people and the exchange read. `now` is the staleness clock: it decides what is
stale and what is due. Changes of the system time do not affect it, and it counts the time while the machine sleeps.
"""

from __future__ import annotations

import time

wall = time.time

if hasattr(time, "CLOCK_BOOTTIME"):  # Linux: unlike CLOCK_MONOTONIC it counts the time spent asleep

    def now() -> float:
        """Seconds of the staleness clock. Only the difference between two readings has a meaning."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:
    now = time.monotonic


def timestamp_of(moment: float) -> float:
    """The Unix time of a moment of the staleness clock."""
    return wall() + (moment - now())
