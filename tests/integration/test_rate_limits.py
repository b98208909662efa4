"""The limits of the exchange and our own, with the key shared by others."""

from __future__ import annotations

import itertools
import time

import pytest
import requests

from bybit_exporter.sandbox import ASSET_INFO, RateLimit, faults
from tests.in_process import Running
from tests.support import bybit_headers, eventually, polls_of

REMAINING = "bybit_api_rate_limit_remaining_requests"
QUERY = "accountType=SPOT"


def someone_else_asks(running: Running) -> int:
    """A bot with the same key. Returns the retCode."""
    headers = bybit_headers(running.main.api_key, running.main.api_secret, QUERY, time.time())
    answer = requests.get(f"{running.server.base_url}{ASSET_INFO}?{QUERY}", headers=headers, timeout=5)
    return int(answer.json()["retCode"])


def left(running: Running) -> float:
    return running.value(REMAINING, endpoint=ASSET_INFO) or 0.0


def test_what_is_left_of_the_limit_follows_the_exchange() -> None:
    with Running(poll_interval_seconds=1.0) as running:
        running.main.limit = RateLimit(1000, 3600.0)
        eventually(lambda: running.value(REMAINING, endpoint=ASSET_INFO))
        assert running.value("bybit_api_rate_limit_requests", endpoint=ASSET_INFO) == 1000
        before = running.value(REMAINING, endpoint=ASSET_INFO) or 0.0
        for _ in range(300):
            assert someone_else_asks(running) == 0
        eventually(lambda: (running.value(REMAINING, endpoint=ASSET_INFO) or 0.0) <= before - 300)
        own = len(polls_of(running.main))
        eventually(lambda: len(polls_of(running.main)) > own)
        eventually(lambda: abs(left(running) + len(polls_of(running.main)) - 1000) <= 1)


def test_someone_else_uses_up_the_limit_and_we_wait_for_its_reset() -> None:
    with Running() as running:
        running.wait_for(1.0, "bybit_up")
        running.main.limit = RateLimit(40, 3.0)
        while someone_else_asks(running) == 0:
            pass
        eventually(lambda: running.failures("rate_limit") >= 1)
        assert running.value(REMAINING, endpoint=ASSET_INFO) == 0
        refused = time.time()
        until = running.value("bybit_next_poll_timestamp_seconds") or 0.0
        assert refused < until < refused + 3.5
        own = len(polls_of(running.main))
        time.sleep(max(0.0, until - time.time() - 0.3))
        assert len(polls_of(running.main)) == own
        running.wait_for(1.0, "bybit_up")


@pytest.mark.parametrize("skew", [-30.0, 30.0])
def test_the_reset_is_in_the_exchange_s_clock(skew: float) -> None:
    running = Running()
    running.exchange.clock_skew = skew
    with running:
        running.wait_for(1.0, "bybit_up")
        running.main.fault = faults.TooManyVisits(str(running.exchange.now_ms() + 4000))
        eventually(lambda: running.failures("rate_limit") == 1)
        until = running.value("bybit_next_poll_timestamp_seconds") or 0.0
        assert until - time.time() == pytest.approx(4.0, abs=1.0)


def test_others_are_not_held_back() -> None:
    with Running("limited", "free") as running:
        limited, free = running.exchange.accounts.values()
        running.wait_for(1.0, "bybit_up", account="free")
        limited.fault = faults.TooManyVisits(str(running.exchange.now_ms() + 60_000))
        eventually(lambda: running.failures("rate_limit", "limited") == 1)
        before = len(polls_of(free))
        eventually(lambda: len(polls_of(free)) >= before + 10)
        assert running.failures("rate_limit", "limited") == 1
        assert running.value("bybit_up", account="free") == 1


PER_SECOND = 20.0


@pytest.mark.parametrize("disturbance", ["nothing", "retries", "clock"])
def test_all_requests_together_keep_below_the_configured_rate(disturbance: str) -> None:
    """Eight accounts would like to ask ten times a second each, and more with retries and questions for the time."""
    names = (f"a{number}" for number in range(8))
    running = Running(*names, poll_interval_seconds=0.1, api={"max_requests_per_second": PER_SECOND})
    if disturbance == "retries":
        running.exchange.fault = faults.Status(500)
    elif disturbance == "clock":
        running.exchange.fault = faults.RetCode(10002)
    with running:
        eventually(lambda: running.exchange.request_count >= 60, 30.0)
    asked = [recorded.at for recorded in running.exchange.requests]
    lasted = asked[-1] - asked[0]
    assert len(asked) - 1 <= PER_SECOND * lasted * 1.1 + 2
    assert len(asked) - 1 >= PER_SECOND * lasted * 0.5, "the rate is there to be used"
    spread = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert sum(1 for gap in spread if gap < 0.3 / PER_SECOND) < len(spread) / 4, "in bursts"
