"""What is known of the exchange's clock. Times are Unix seconds; the exchange is 30 s ahead unless said otherwise."""

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


def test_nothing_is_known_at_first(clock: ServerClock, wall: FakeClock) -> None:
    assert clock.offset_seconds is None
    assert clock.now() == wall.now


def test_synchronising_corrects_by_half_of_the_round_trip(clock: ServerClock, wall: FakeClock) -> None:
    clock.synchronise(1_000_030.2, sent=1_000_000.0, received=1_000_000.4, asked_at=0.0)
    assert clock.offset_seconds == pytest.approx(30.0)
    assert clock.now() == pytest.approx(wall.now + 30.0)


@pytest.mark.parametrize("true_offset", [-0.9, -0.2, 0.0, 0.3, 4.9])
def test_answers_bring_the_offset_as_near_as_the_network_allows(clock: ServerClock, true_offset: float) -> None:
    clock.observe(1_000_000.05 + true_offset, sent=1_000_000.0, received=1_000_000.1, asked_at=0.0)
    assert clock.offset_seconds == pytest.approx(true_offset, abs=0.051)


def test_the_noise_of_the_network_moves_nothing(clock: ServerClock) -> None:
    clock.synchronise(1_000_030.0, 1_000_000.0, 1_000_000.0, asked_at=0.0)
    for early, late in ((0.0, 0.2), (0.2, 0.0), (5.0, 0.1), (0.1, 9.0)):
        clock.observe(1_000_030.0, sent=1_000_000.0 - early, received=1_000_000.0 + late, asked_at=0.0)
        assert clock.offset_seconds == 30.0


def test_a_drift_is_followed_answer_by_answer(clock: ServerClock) -> None:
    for second in range(100):
        local = 1_000_000.0 + second
        clock.observe(local + 0.05 * second, sent=local - 0.01, received=local + 0.01, asked_at=0.0)
        assert clock.offset_seconds == pytest.approx(0.05 * second, abs=0.011)


@pytest.mark.parametrize("server_time", [0.0, -1e12, 1e12, 1_000_000.0 - 3600, 1_000_000.0 + 3600, 1_000_000.0 + 9])
def test_a_time_that_contradicts_the_acceptance_is_shown_and_not_followed(
    clock: ServerClock, wall: FakeClock, server_time: float
) -> None:
    clock.observe(server_time, sent=1_000_000.0, received=1_000_000.1, asked_at=0.0)
    assert clock.offset_seconds == pytest.approx(server_time - 1_000_000.0, abs=0.11)
    assert clock.now() == wall.now
    clock.synchronise(1_000_002.0, 1_000_000.0, 1_000_000.0, asked_at=0.0)
    clock.observe(server_time, sent=1_000_000.0, received=1_000_000.1, asked_at=0.0)
    assert clock.now() == wall.now + 2.0


def test_an_answer_that_a_proxy_repeats_does_not_drag_the_clock_along(clock: ServerClock, wall: FakeClock) -> None:
    for local in range(1_000_000, 1_000_100, 2):
        clock.observe(1_000_000.0, sent=local, received=local + 0.1, asked_at=0.0)
    assert clock.now() == wall.now
    assert clock.offset_seconds == pytest.approx(-98.0, abs=0.11)


def test_a_clock_that_was_never_set_is_taken_over_all_the_same(wall: FakeClock) -> None:
    """A machine without a battery starts in 1970."""
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
