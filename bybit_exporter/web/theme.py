"""Colours and fonts of all pages, and the hash with which a Content-Security-Policy allows their inline style."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

THEME = (files(__package__) / "templates" / "theme.css").read_text("utf-8")
"""Style sheet that each page begins its own with."""


def csp_hash(inline: str) -> str:
    """Returns the source expression that allows exactly this inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"
