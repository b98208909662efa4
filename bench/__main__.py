"""Measures, and prints tables: `python -m bench`, or one part of it: `python -m bench scale`."""

from __future__ import annotations

import argparse

from . import poll, rules, scale, side_by_side

PARTS = {"thirty-lines": side_by_side.main, "scale": scale.main, "poll": poll.main, "rules": rules.main}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures the exporter, and prints tables.")
    parser.add_argument("part", nargs="?", choices=PARTS, help="all if it is left out")
    part = parser.parse_args().part
    for name in [part] if part else PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main()
