"""Prometheus exporter for the balances and the status of Bybit accounts."""

import os

__version__ = "0.1.0"

REVISION = os.environ.get("BYBIT_EXPORTER_REVISION", "unknown")
"""The commit that was built, as the builder (image, Makefile) says."""
