"""Runs the exporter: ``python exporter.py --help``."""

import sys

from bybit_exporter.cli import main

if __name__ == "__main__":
    sys.exit(main())
