"""The estimate of the exchange's clock. Times are Unix seconds; the exchange is 30 s ahead unless said otherwise."""

from __future__ import annotations

import pytest

from bybit_exporter.bybit.server_clock import ServerClock
from tests.support import FakeClock

RECV_WINDOW = 5.0


@pytest.fixture
def wall() -> FakeClock:
    return FakeClock(1_000_000.0)


@pytest.fixture
def clock(wall: FakeClock) -> ServerClock:
    return ServerClock(RECV_WINDOW, wall)


def test_offset_before_the_first_answer_is_none(clock: ServerClock, wall: FakeClock) -> None:
    assert clock.offset_seconds is None
    assert clock.now() == wall.now


def test_synchronise_corrects_by_half_of_the_round_trip(clock: ServerClock, wall: FakeClock) -> None:
    clock.synchronise(1_000_030.2, sent_timestamp=1_000_000.0, received_timestamp=1_000_000.4, asked_at=0.0)
    assert clock.offset_seconds == pytest.approx(30.0)
    assert clock.now() == pytest.approx(wall.now + 30.0)


@pytest.mark.parametrize("true_offset", [-0.9, -0.2, 0.0, 0.3, 4.9])
def test_offset_after_answers_is_within_the_round_trip(clock: ServerClock, true_offset: float) -> None:
    clock.observe(1_000_000.05 + true_offset, sent_timestamp=1_000_000.0, received_timestamp=1_000_000.1, asked_at=0.0)
    assert clock.offset_seconds == pytest.approx(true_offset, abs=0.051)


def test_offset_is_not_changed_by_network_noise(clock: ServerClock) -> None:
    clock.synchronise(1_000_030.0, 1_000_000.0, 1_000_000.0, asked_at=0.0)
    for early, late in ((0.0, 0.2), (0.2, 0.0), (5.0, 0.1), (0.1, 9.0)):
        clock.observe(
            1_000_030.0, sent_timestamp=1_000_000.0 - early, received_timestamp=1_000_000.0 + late, asked_at=0.0
        )
        assert clock.offset_seconds == 30.0


def test_offset_follows_a_drift_with_each_answer(clock: ServerClock) -> None:
    for second in range(100):
        local = 1_000_000.0 + second
        clock.observe(local + 0.05 * second, sent_timestamp=local - 0.01, received_timestamp=local + 0.01, asked_at=0.0)
        assert clock.offset_seconds == pytest.approx(0.05 * second, abs=0.011)


@pytest.mark.parametrize("server_time", [0.0, -1e12, 1e12, 1_000_000.0 - 3600, 1_000_000.0 + 3600, 1_000_000.0 + 9])
def test_offset_beyond_the_tolerance_is_shown_and_not_used(
    clock: ServerClock, wall: FakeClock, server_time: float
) -> None:
    clock.observe(server_time, sent_timestamp=1_000_000.0, received_timestamp=1_000_000.1, asked_at=0.0)
    assert clock.offset_seconds == pytest.approx(server_time - 1_000_000.0, abs=0.11)
    assert clock.now() == wall.now
    clock.synchronise(1_000_002.0, 1_000_000.0, 1_000_000.0, asked_at=0.0)
    clock.observe(server_time, sent_timestamp=1_000_000.0, received_timestamp=1_000_000.1, asked_at=0.0)
    assert clock.now() == wall.now + 2.0


def test_answer_repeated_by_a_proxy_does_not_change_the_clock(clock: ServerClock, wall: FakeClock) -> None:
    for local in range(1_000_000, 1_000_100, 2):
        clock.observe(1_000_000.0, sent_timestamp=local, received_timestamp=local + 0.1, asked_at=0.0)
    assert clock.now() == wall.now
    assert clock.offset_seconds == pytest.approx(-98.0, abs=0.11)


def test_clock_that_was_never_set_is_corrected(wall: FakeClock) -> None:
    """The clock of a machine without a battery starts in 1970."""
    wall.now = 12.0
    clock = ServerClock(RECV_WINDOW, wall)
    clock.synchronise(1_700_000_000.0, 12.0, 12.0, asked_at=0.0)
    assert clock.now() == 1_700_000_000.0


def test_answers_that_a_later_request_has_overtaken_are_ignored(clock: ServerClock, wall: FakeClock) -> None:
    clock.synchronise(1_000_030.0, 1_000_000.0, 1_000_000.0, asked_at=2.0)
    clock.synchronise(1_000_000.0, 1_000_000.0, 1_000_000.0, asked_at=1.0)
    clock.observe(1_000_032.0, 1_000_000.0, 1_000_000.0, asked_at=1.0)
    assert clock.offset_seconds == 30.0
    assert clock.now() == wall.now + 30.0
    clock.observe(1_000_031.0, 1_000_000.0, 1_000_000.0, asked_at=2.0)
    assert clock.offset_seconds == 31.0


def test_time_that_is_not_followed_does_not_hold_up_others(clock: ServerClock, wall: FakeClock) -> None:
    """A proxy may have cached an answer."""
    clock.observe(1e12, 1_000_000.0, 1_000_000.0, asked_at=9.0)
    clock.synchronise(1_000_030.0, 1_000_000.0, 1_000_000.0, asked_at=1.0)
    assert clock.now() == wall.now + 30.0
