"""Basic authentication: names and bcrypt hashes.

A check takes tens of milliseconds by design. So it runs beside the event loop, one at a time; a password that was
right is remembered; and who asks more than there is time for is turned away.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

T = TypeVar("T")

BCRYPT_BYTES = 72
"""bcrypt takes no more of a password; the tools that make hashes drop the rest as we do."""

MAX_CHECKS = 16
MAX_CHECKS_PER_PEER = 4
"""At most so many checks wait, so that a client which guesses does not keep out another."""


class Credentials(NamedTuple):
    """What a client says it is."""

    user: bytes
    password: bytes


class TooManyGuesses(Exception):
    """There are more passwords to check than there is time for."""


def parse(authorization: str) -> Credentials | None:
    """The credentials of an ``Authorization`` header; `None` if they are not those of basic authentication.

    https://www.rfc-editor.org/rfc/rfc7617
    """
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return Credentials(user, password) if colon else None


class Verifier:
    """Checks passwords against one set of users; another set needs another verifier, which remembers nothing."""

    def __init__(self, users: Mapping[str, str]) -> None:
        import bcrypt  # not needed by those who ask for no password

        self._check_password = bcrypt.checkpw
        self._hashes = {name.encode(): hashed.encode() for name, hashed in users.items()}
        self._key = secrets.token_bytes(32)
        self._verified: dict[bytes, bytes] = {}
        """The keyed hash of each user's password, once it was right."""
        self._checks: dict[bytes, asyncio.Task[bool]] = {}
        self._peers: Counter[str] = Counter()
        self._one_at_a_time = asyncio.Lock()

    async def accepts(self, credentials: Credentials, peer: str) -> bool:
        """Whether the password is the user's.

        Raises:
            TooManyGuesses: it was not checked.
        """
        user, password = credentials.user, credentials.password[:BCRYPT_BYTES]
        token = self._keyed_hash(user, password)
        if hmac.compare_digest(self._verified.get(user, bytes(len(token))), token):
            return True
        check = self._checks.get(token)
        if check is None:  # the same question at the same time is asked once
            if len(self._checks) >= MAX_CHECKS or self._peers[peer] >= MAX_CHECKS_PER_PEER:
                raise TooManyGuesses
            self._peers[peer] += 1
            check = self._checks[token] = asyncio.create_task(self._check(user, password, token, peer))
        return await asyncio.shield(check)

    async def _check(self, user: bytes, password: bytes, token: bytes, peer: str) -> bool:
        try:
            async with self._one_at_a_time:
                matches = await _in_thread(lambda: self._matches(user, password))
        finally:
            del self._checks[token]
            self._peers -= Counter([peer])  # forgets those that wait for nothing
        if matches:
            self._verified[user] = token
        return matches

    def _matches(self, user: bytes, password: bytes) -> bool:
        """Takes as long for a name that is nobody's: then the hash of some user is checked, always the same."""
        some_user = sorted(self._hashes)[int.from_bytes(self._keyed_hash(user, b"")) % len(self._hashes)]
        hashed = self._hashes.get(user, self._hashes[some_user])
        try:
            matches = self._check_password(password, hashed)
        except ValueError:
            matches = False
        return matches and user in self._hashes

    def _keyed_hash(self, user: bytes, password: bytes) -> bytes:
        return hmac.digest(self._key, user + b":" + password, hashlib.sha256)  # no name has a colon


async def _in_thread(function: Callable[[], T]) -> T:
    """Like `asyncio.to_thread`, but no executor has to wait for it when the process ends."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def tell(value: T) -> None:
        if not result.cancelled():
            result.set_result(value)

    def run() -> None:
        value = function()
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, value)

    threading.Thread(target=run, name="password", daemon=True).start()
    return await result
