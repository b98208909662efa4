"""API keys whose refusal was logged. Several jobs use one key at the same time."""

from __future__ import annotations

import threading
from collections.abc import Collection

from ..model import Account, Secret

Credentials = tuple[Secret, Secret]
"""Key and secret. A wrong secret affects only the accounts that have it."""


def credentials_of(account: Account) -> Credentials:
    """The key and the secret of an account."""
    return account.api_key, account.api_secret


class RefusedKeys:
    """Tells whether a refusal of a key is new. Times are of the staleness clock; any thread may call."""

    def __init__(self) -> None:
        self._refusals: dict[Credentials, tuple[float, set[str]]] = {}
        """By key: when the first refusal was, and the codes of all."""
        self._lock = threading.Lock()

    def retain(self, credentials: Collection[Credentials]) -> None:
        """Forgets all keys but these."""
        with self._lock:
            self._refusals = {key: each for key, each in self._refusals.items() if key in credentials}

    def add(self, credentials: Credentials, code: str, now: float) -> bool:
        """Notes a refusal. Returns whether the key has not been refused with this code since it was last accepted."""
        with self._lock:
            _, codes = self._refusals.setdefault(credentials, (now, set()))
            is_new = code not in codes
            codes.add(code)
            return is_new

    def remove(self, credentials: Credentials) -> float | None:
        """Notes that the key is accepted. Returns since when it was refused; None if it was not."""
        with self._lock:
            refusal = self._refusals.pop(credentials, None)
            return refusal[0] if refusal else None
