"""Writes the dashboards. A test compares what is committed with what this makes."""

from __future__ import annotations

import json
from pathlib import Path

from .balances import BALANCES
from .operations import OPERATIONS

FOLDER = Path(__file__).parent / "dashboards"

DASHBOARDS = {"bybit-balances.json": BALANCES, "bybit-exporter.json": OPERATIONS}


def texts() -> dict[str, str]:
    """What each file is to contain."""
    return {name: json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n" for name, dashboard in DASHBOARDS.items()}


if __name__ == "__main__":
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
