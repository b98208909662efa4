"""Checks that files with secrets are not readable by everyone."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path


def warnings_of(paths: Iterable[Path]) -> list[str]:
    """Returns a warning for each file that every user of the machine can read. Missing files are ignored.

    So are paths with characters that no path may have: reading the file has reported them.
    """
    return [
        f"{path} holds a secret, and every user of this machine can read it; try: chmod o-r {path}"
        for path in dict.fromkeys(paths)
        if _world_readable(path)
    ]


def _world_readable(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except (OSError, ValueError):
        return False
