"""Keeps secrets that stand in the wrong place out of error messages."""

from __future__ import annotations

import re

from .. import rsa

_MIN_SECRET_CHARACTERS = 14
"""Keys of the exchange have 18 letters and digits, secrets 36. The parts of a UUID, as in paths, have at most 12."""


def looks_like_secret(text: str) -> bool:
    """Whether a text may be a secret rather than a path or a name.

    Then it has a long run of letters and digits, of more than one kind: upper case, lower case, digits.
    """
    runs = re.findall(rf"[A-Za-z0-9]{{{_MIN_SECRET_CHARACTERS},}}", text)
    kinds = (str.islower, str.isupper, str.isdigit)
    return rsa.PEM_PREFIX in text or any(sum(any(map(kind, run)) for kind in kinds) > 1 for run in runs)


def safe_key(key: str) -> str:
    """Cuts a key to the part that looks like a name. ``api_secret:abc`` (no blank) becomes ``api_secret…``.

    Nothing is left of a secret that was written as a key.
    """
    match = re.match(r"[A-Za-z_][A-Za-z0-9_-]*", key)
    name = match[0] if match and not looks_like_secret(match[0]) else ""
    return name if name == key and len(name) <= 40 else name[:40] + "…"
