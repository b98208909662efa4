"""Writes the dashboards with the default settings. A test compares the files with what this builds."""

from __future__ import annotations

from pathlib import Path

from mixin.settings import Settings

from .build import dashboards, text_of

FOLDER = Path(__file__).parent / "dashboards"


if __name__ == "__main__":
    for name, dashboard in dashboards(Settings()).items():
        (FOLDER / name).write_text(text_of(dashboard), encoding="utf-8")
