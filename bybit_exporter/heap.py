"""How the C library keeps memory that is free.

https://man7.org/linux/man-pages/man3/mallopt.3.html
"""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8


def share_one_arena() -> None:
    """Has all threads share what is free, where the C library is glibc; others have no such setting.

    glibc makes up to eight arenas for each processor, so that threads need not wait for each other, and what is free in
    one is of no use to the others. Here they wait for Python's own lock anyway.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
