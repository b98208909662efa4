"""Runs the exporter from a clone: ``python exporter.py --help``."""

import sys

try:
    from bybit_exporter.cli import main

    if __name__ == "__main__":
        sys.exit(main())
except ImportError as error:  # some libraries are imported only when they are needed
    if (error.name or "").startswith("bybit_exporter"):
        raise
    sys.exit(
        f"exporter.py: {error}. Run `make install` once, then `.venv/bin/python exporter.py`; `make run` does both. "
        f"Python 3.11 or newer is needed; this is {sys.executable}, {sys.version.split()[0]}."
    )
