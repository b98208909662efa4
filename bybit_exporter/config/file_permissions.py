"""Checks that files with secrets are not readable by everyone."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterable
from pathlib import Path


def warnings_of(paths: Iterable[Path]) -> list[str]:
    """Returns a warning for each file that every user of the machine can read. Missing files are ignored.

    So are paths with characters that no path may have: reading the file has reported them.
    """
    warnings = []
    for path in dict.fromkeys(paths):
        with contextlib.suppress(OSError, ValueError):
            if path.stat().st_mode & stat.S_IROTH:
                problem = "holds a secret, and every user of this machine can read it"
                warnings.append(f"{path} {problem}; try: chmod o-r {path}")
    return warnings
