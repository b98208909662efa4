"""Prometheus exporter for the balances and the status of Bybit accounts."""

import os

__version__ = "1.0.0"

_ARCHIVED = "$Format:%h$"  # `git archive` writes the commit here (see .gitattributes), and `make dist` builds from it

REVISION = os.environ.get("BYBIT_EXPORTER_REVISION") or ("" if _ARCHIVED.startswith("$") else _ARCHIVED)
"""The commit that was built, from the environment (image, Makefile) or from `git archive`; empty if neither says."""
