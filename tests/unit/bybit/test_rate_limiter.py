"""The limit on all requests."""

from __future__ import annotations

import threading

import pytest

from bybit_exporter.bybit.errors import BybitError
from bybit_exporter.bybit.rate_limiter import Closed, RateLimiter


class Time:
    """A clock that only advances by sleeping. Each thread sleeps separately."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


def test_requests_are_spaced_evenly(time: Time) -> None:
    rate_limiter = RateLimiter(4.0, time.read, time.sleep)
    moments = []
    for _ in range(9):
        rate_limiter.acquire()
        moments.append(time.now)
    assert moments == pytest.approx([1000.0 + 0.25 * n for n in range(9)])


def test_idle_time_allows_no_burst(time: Time) -> None:
    rate_limiter = RateLimiter(2.0, time.read, time.sleep)
    rate_limiter.acquire()
    time.now += 3600.0
    rate_limiter.acquire()
    rate_limiter.acquire()
    assert time.slept == pytest.approx([0.5])


def test_requests_of_several_threads_share_one_rate() -> None:
    """Each caller gets its own slot, in any order."""
    slept: list[float] = []
    rate_limiter = RateLimiter(100.0, lambda: 1000.0, slept.append)
    threads = [threading.Thread(target=rate_limiter.acquire) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(slept) == pytest.approx([0.01 * n for n in range(1, 50)])


def test_blocked_requests_are_refused_until_the_block_ends(time: Time) -> None:
    rate_limiter = RateLimiter(100.0, time.read, time.sleep)
    rate_limiter.block(600.0)
    with pytest.raises(BybitError, match="for another 600 s") as refused:
        rate_limiter.acquire()
    assert refused.value.reason == "ip_rate_limit"
    time.now += 599.0
    with pytest.raises(BybitError):
        rate_limiter.acquire()
    time.now += 1.0
    rate_limiter.acquire()


def test_shorter_block_does_not_end_a_longer_one(time: Time) -> None:
    rate_limiter = RateLimiter(100.0, time.read, time.sleep)
    rate_limiter.block(1800.0)
    rate_limiter.block(600.0)
    assert rate_limiter.blocked_until == 2800.0


def test_unblock_ends_the_block(time: Time) -> None:
    rate_limiter = RateLimiter(100.0, time.read, time.sleep)
    rate_limiter.block(600.0)
    rate_limiter.unblock()
    rate_limiter.acquire()


def test_waiting_request_is_refused_if_blocked_meanwhile(time: Time) -> None:
    rate_limiter: RateLimiter

    def closed_meanwhile(seconds: float) -> None:
        time.sleep(seconds)
        rate_limiter.block(600.0)

    rate_limiter = RateLimiter(1.0, time.read, closed_meanwhile)
    rate_limiter.acquire()
    with pytest.raises(BybitError):
        rate_limiter.acquire()


def test_closed_limiter_ends_waits_and_allows_no_request() -> None:
    rate_limiter = RateLimiter(0.001)
    rate_limiter.acquire()
    ended = []

    def wait() -> None:
        with pytest.raises(Closed):
            rate_limiter.acquire()
        ended.append(True)

    waiting = threading.Thread(target=wait)
    waiting.start()
    rate_limiter.close()
    waiting.join(5)
    wait()
    assert ended == [True, True]


def test_clock_that_advances_during_a_sleep_causes_no_negative_wait(time: Time) -> None:
    """No wait is negative, even if the caller is late."""
    rate_limiter = RateLimiter(1.0, time.read, time.sleep)
    for _ in range(3):
        rate_limiter.acquire()
        time.now += 10.0
    assert time.slept == []
