"""Basic authentication, without HTTP."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable, Coroutine
from typing import Any
from unittest.mock import patch

import bcrypt
import pytest
from structlog.testing import capture_logs

from bybit_exporter.web.server import auth
from bybit_exporter.web.server.auth import CheckFailed, Credentials, PasswordVerifier, TooManyChecks


def hashed(password: bytes, prefix: str = "2b", cost: int = 4) -> str:
    return bcrypt.hashpw(password[:72], bcrypt.gensalt(cost)).decode().replace("$2b$", f"${prefix}$")


USERS = {"alice": hashed(b"wonderland"), "björn": hashed("lösenord".encode(), "2y"), "carol": hashed(b"x" * 80, "2a")}


def run(check: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(check(), 20))


class CountedVerifier(PasswordVerifier):
    """Keeps the hashes that passwords were checked against; `may_check` holds the checks up while it is closed."""

    def __init__(self, users: dict[str, str]) -> None:
        super().__init__(users)
        self.checked: list[bytes] = []
        self.may_check = threading.Event()
        self.may_check.set()
        self.running = self.most_running = 0
        self._check_password = self._count

    def _count(self, password: bytes, hashed_password: bytes) -> bool:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.may_check.wait(10)
        self.checked.append(hashed_password)
        self.running -= 1
        return bcrypt.checkpw(password, hashed_password)


def basic(credentials: bytes) -> str:
    return "Basic " + base64.b64encode(credentials).decode()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (basic(b"alice:wonderland"), (b"alice", b"wonderland")),
        (basic(b"alice:with:colons"), (b"alice", b"with:colons")),
        (basic(b"alice:"), (b"alice", b"")),
        (basic(b":"), (b"", b"")),
        (basic(b"alice:wonderland").replace("Basic", "bAsIc"), (b"alice", b"wonderland")),
        (basic(b"\xff:\xfe"), (b"\xff", b"\xfe")),
        (basic(b"no colon"), None),
        ("", None),
        ("Basic", None),
        ("Basic ", None),
        ("Basic %%%%", None),
        ("Basic YWxpY2U6", (b"alice", b"")),
        ("Basic YWxpY2U6d", None),
        ("Basic YWxp Y2U6", None),
        ("Basic \xe9", None),
        ("Bearer YWxpY2U6", None),
        ("Digest username=alice", None),
    ],
)
def test_authorization_header_is_parsed(header: str, expected: tuple[bytes, bytes] | None) -> None:
    assert auth.parse(header) == expected


@pytest.mark.parametrize(
    ("user", "password", "accepted"),
    [
        ("alice", b"wonderland", True),
        ("björn", "lösenord".encode(), True),
        ("carol", b"x" * 80, True),
        ("carol", b"x" * 72, True),  # bcrypt sees no more
        ("carol", b"x" * 71, False),
        ("alice", b"wonderlan", False),
        ("alice", b"wonderlandx", False),
        ("alice", b"", False),
        ("alice", b"wonderland\0", False),
        ("alice", b"a" * 100_000, False),
        ("Alice", b"wonderland", False),
        ("", b"", False),
        ("nobody", b"wonderland", False),
        ("carol", b"wonderland", False),
    ],
)
def test_password_is_accepted_only_for_its_user(user: str, password: bytes, accepted: bool) -> None:
    async def check() -> None:
        verifier = PasswordVerifier(USERS)
        for _ in range(2):
            assert await verifier.verify(Credentials(user.encode(), password), "") == accepted

    run(check)


def test_password_of_another_user_is_refused_for_an_unknown_user() -> None:
    """The password of an unknown user is checked against the hash of a known one. A match must not count."""
    passwords = [b"wonderland", "lösenord".encode(), b"x" * 80]

    async def check() -> None:
        verifier = PasswordVerifier(USERS)
        for number in range(20):
            for password in passwords:
                assert not await verifier.verify(Credentials(f"stranger{number}".encode(), password), "")

    run(check)


def test_unknown_user_takes_as_long_as_a_wrong_password() -> None:
    users = {f"user{cost}": hashed(b"right", cost=cost) for cost in (4, 5, 6)}

    async def check() -> None:
        verifier = CountedVerifier(users)
        for number in range(40):
            for _ in range(2):
                await verifier.verify(Credentials(f"stranger{number}".encode(), b"wrong"), "")
        assert len(verifier.checked) == 80
        costs = [hashed[4:6] for hashed in verifier.checked]
        assert costs[::2] == costs[1::2], "each name has a cost of its own, always the same"
        assert set(costs) == {b"04", b"05", b"06"}, "and strangers' names are spread like users'"
        await verifier.verify(Credentials(b"user4", b"wrong"), "")
        assert verifier.checked[-1] == users["user4"].encode()

    run(check)


def test_correct_password_is_remembered_and_wrong_one_is_not() -> None:
    async def check() -> None:
        verifier = CountedVerifier(USERS)
        right, wrong = Credentials(b"alice", b"wonderland"), Credentials(b"alice", b"wrong")
        assert await verifier.verify(right, "")
        assert await verifier.verify(right, "")
        assert len(verifier.checked) == 1
        assert not await verifier.verify(wrong, "")
        assert not await verifier.verify(wrong, "")
        assert len(verifier.checked) == 3
        assert await verifier.verify(right, "")
        assert len(verifier.checked) == 3
        assert b"wonderland" not in repr(vars(verifier)).encode()

    run(check)


async def until_held(verifier: CountedVerifier) -> None:
    while not verifier.running:
        await asyncio.sleep(0.001)


def test_wrong_passwords_are_checked_one_at_a_time_and_limited() -> None:
    async def check() -> None:
        verifier = CountedVerifier(USERS)
        verifier.may_check.clear()

        async def guess(number: int) -> bool:
            return await verifier.verify(Credentials(b"alice", str(number).encode()), f"peer{number}")

        guesses = [asyncio.create_task(guess(number)) for number in range(100)]
        await until_held(verifier)  # the event loop is not blocked
        assert sum(task.done() for task in guesses) == 100 - auth.MAX_CHECKS
        verifier.may_check.set()
        results = await asyncio.gather(*guesses, return_exceptions=True)
        assert results.count(False) == auth.MAX_CHECKS
        assert sum(isinstance(result, TooManyChecks) for result in results) == 100 - auth.MAX_CHECKS
        assert verifier.most_running == 1
        assert not await guess(1), "there is room again"

    run(check)


def test_guessing_client_does_not_lock_out_another() -> None:
    async def check() -> None:
        verifier = CountedVerifier(USERS)
        verifier.may_check.clear()
        guesses = [
            asyncio.create_task(verifier.verify(Credentials(b"alice", str(number).encode()), "attacker"))
            for number in range(100)
        ]
        await until_held(verifier)
        prometheus = asyncio.create_task(verifier.verify(Credentials(b"alice", b"wonderland"), "prometheus"))
        await asyncio.sleep(0)
        verifier.may_check.set()
        assert await prometheus
        results = await asyncio.gather(*guesses, return_exceptions=True)
        assert results.count(False) == auth.MAX_CHECKS_PER_PEER

    run(check)


def test_equal_requests_at_the_same_time_share_one_check() -> None:
    async def check() -> None:
        verifier = CountedVerifier(USERS)
        right = Credentials(b"alice", b"wonderland")
        assert all(await asyncio.gather(*(verifier.verify(right, "prometheus") for _ in range(50))))
        assert len(verifier.checked) == 1

    run(check)


def test_cancelled_request_does_not_end_the_check_of_another() -> None:
    async def check() -> None:
        verifier = CountedVerifier(USERS)
        verifier.may_check.clear()
        right = Credentials(b"alice", b"wonderland")
        leaves, stays = (asyncio.create_task(verifier.verify(right, "")) for _ in range(2))
        await until_held(verifier)
        leaves.cancel()
        verifier.may_check.set()
        assert await stays

    run(check)


def test_check_that_ends_after_the_event_loop_raises_nothing() -> None:
    verifier = CountedVerifier(USERS)
    verifier.may_check.clear()

    async def leave() -> None:
        check = asyncio.create_task(verifier.verify(Credentials(b"alice", b"wonderland"), ""))
        await until_held(verifier)
        check.cancel()

    run(leave)
    verifier.may_check.set()
    for thread in threading.enumerate():
        if thread.name == "password":
            thread.join(10)


def test_check_that_fails_raises_and_the_next_check_runs() -> None:
    async def check() -> None:
        verifier = PasswordVerifier(USERS)
        right = Credentials(b"alice", b"wonderland")
        failing = patch.object(verifier, "_check_password", side_effect=MemoryError)
        with failing, capture_logs() as logs, pytest.raises(CheckFailed):
            await verifier.verify(right, "")
        assert [(event["log_level"], event["error"]) for event in logs] == [("error", "MemoryError")]
        assert await verifier.verify(right, "")

    run(check)


def test_check_whose_thread_cannot_start_raises() -> None:
    async def check() -> None:
        verifier = PasswordVerifier(USERS)
        right = Credentials(b"alice", b"wonderland")
        failing = patch.object(threading.Thread, "start", side_effect=RuntimeError)
        with failing, capture_logs() as logs, pytest.raises(CheckFailed):
            await verifier.verify(right, "")
        assert [event["error"] for event in logs] == ["RuntimeError"]
        assert await verifier.verify(right, "")

    run(check)


def test_panic_of_bcrypt_ends_its_own_check_only() -> None:
    class Panic(BaseException):
        """bcrypt is written in Rust, whose panics are no `Exception`."""

    async def check() -> None:
        verifier = PasswordVerifier(USERS)
        right = Credentials(b"alice", b"wonderland")
        with patch.object(verifier, "_check_password", side_effect=Panic), pytest.raises(Panic):
            await verifier.verify(right, "")
        assert await verifier.verify(right, "")

    run(check)
