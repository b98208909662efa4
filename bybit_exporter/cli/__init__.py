"""The command line: flags, modes, signals, exit status."""

from .program import main

__all__ = ["main"]
