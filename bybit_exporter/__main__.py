"""Runs the exporter: ``python -m bybit_exporter --help``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
