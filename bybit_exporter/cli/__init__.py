"""The command line: flags, modes, signals, exit status."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program and returns its exit status (see `flags`).

    Until `serve` handles signals, SIGTERM and SIGINT end the process without a traceback, and SIGHUP neither ends it
    nor is lost. This is set before the modules are imported, which takes half a second.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit if os.getpid() == 1 else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    from .program import run

    return run(arguments)


def _exit(number: int, _: object) -> None:
    """Ends process 1 of a container, for which the kernel ignores a signal without a handler."""
    os._exit(128 + number)
