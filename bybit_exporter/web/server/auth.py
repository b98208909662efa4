"""Basic authentication with names and bcrypt hashes.

By design, bcrypt takes tens of milliseconds for one check. So checks run in a thread, one at a time. A correct password
is remembered. If too many checks are waiting, further requests are refused.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import NamedTuple

import structlog

_log = structlog.get_logger()

BCRYPT_BYTES = 72
"""bcrypt uses no more bytes of a password. Like the tools that make hashes, the server ignores the rest."""

MAX_CHECKS = 16
MAX_CHECKS_PER_PEER = 4
"""Maximum number of waiting checks, in all and for one address: a client that guesses must not lock out another."""


class Credentials(NamedTuple):
    """User name and password of a request."""

    user: bytes
    password: bytes


class TooManyChecks(Exception):
    """Too many passwords are waiting to be checked."""


class CheckFailed(Exception):
    """The password could not be checked, for example since the system allows no more threads."""


def parse(authorization: str) -> Credentials | None:
    """Parses an ``Authorization`` header. Returns `None` if it is not basic authentication.

    https://www.rfc-editor.org/rfc/rfc7617
    """
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except ValueError:
        return None
    return Credentials(user, password) if colon else None


class PasswordVerifier:
    """Checks passwords against one set of users. A changed set needs a new verifier, which remembers no password."""

    def __init__(self, users: Mapping[str, str]) -> None:
        import bcrypt  # only loaded if there are users

        self._check_password = bcrypt.checkpw
        self._hashes = {name.encode(): hashed.encode() for name, hashed in users.items()}
        self._key = secrets.token_bytes(32)
        self._verified: dict[bytes, bytes] = {}
        """By user, the keyed hash of the correct password."""
        self._checks: dict[bytes, asyncio.Task[bool | None]] = {}
        self._peers: Counter[str] = Counter()
        self._one_at_a_time = asyncio.Lock()

    async def verify(self, credentials: Credentials, peer: str) -> bool:
        """Returns whether user name and password are correct.

        Raises:
            TooManyChecks, CheckFailed: the password was not checked.
        """
        user, password = credentials.user, credentials.password[:BCRYPT_BYTES]
        token = self._keyed_hash(user, password)
        if hmac.compare_digest(self._verified.get(user, bytes(len(token))), token):
            return True
        check = self._checks.get(token)
        if check is None:  # equal requests share one check
            if len(self._checks) >= MAX_CHECKS or self._peers[peer] >= MAX_CHECKS_PER_PEER:
                raise TooManyChecks
            self._peers[peer] += 1
            check = self._checks[token] = asyncio.create_task(self._check(user, password, token, peer))
        matches = await asyncio.shield(check)
        if matches is None:
            raise CheckFailed
        return matches

    async def _check(self, user: bytes, password: bytes, token: bytes, peer: str) -> bool | None:
        """Returns `None` if the check failed."""
        try:
            async with self._one_at_a_time:
                matches = await _in_thread(lambda: self._matches(user, password))
        except Exception as error:
            _log.error("a password could not be checked, so its request is refused", error=type(error).__name__)
            return None
        finally:
            del self._checks[token]
            self._peers -= Counter([peer])  # removes addresses whose count is 0
        if matches:
            self._verified[user] = token
        return matches

    def _matches(self, user: bytes, password: bytes) -> bool:
        """For an unknown user, checks the hash of another user (always the same), so both cases take the same time."""
        other_user = sorted(self._hashes)[int.from_bytes(self._keyed_hash(user, b"")) % len(self._hashes)]
        hashed = self._hashes.get(user, self._hashes[other_user])
        try:
            matches = self._check_password(password, hashed)
        except ValueError:
            matches = False
        return matches and user in self._hashes

    def _keyed_hash(self, user: bytes, password: bytes) -> bytes:
        return hmac.digest(self._key, user + b":" + password, hashlib.sha256)  # user names have no colon


async def _in_thread(function: Callable[[], bool]) -> bool:
    """Like `asyncio.to_thread`, but the end of the process does not wait for the thread."""
    future: Future[bool] = Future()
    future.set_running_or_notify_cancel()  # else the end of the event loop would cancel it

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # a panic in bcrypt (Rust) is not an Exception
            future.set_exception(error)

    threading.Thread(target=run, name="password", daemon=True).start()
    return await asyncio.wrap_future(future)
