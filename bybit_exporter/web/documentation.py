"""The README of this very version, so that it is at hand where nothing else can be reached."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

_CLONE = Path(__file__).parents[2] / "README.md"


def readme() -> str:
    """The text in Markdown: of the clone that runs, else of the installed package."""
    if _CLONE.is_file():
        return _CLONE.read_text("utf-8")
    try:
        return metadata.metadata("bybit-exporter")["Description"] or "The README is not installed."
    except metadata.PackageNotFoundError:
        return "The README is not installed."
