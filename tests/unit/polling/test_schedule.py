"""The times of the polls, computed with a clock that is a number."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_exporter.polling.schedule import FIRST_ROUND_SECONDS, POLLS_SHARE, Schedule

RATE = 100.0


@dataclass(frozen=True)
class Task:
    key: str
    interval_seconds: float
    start_share: float = POLLS_SHARE


def account(name: str = "a", interval: float = 10.0) -> Task:
    return Task(name, interval)


def schedule(*accounts: Task, now: float = 0.0) -> Schedule[Task]:
    made: Schedule[Task] = Schedule()
    made.replace(accounts, now, RATE)
    return made


def next_at(made: Schedule[Task]) -> float:
    """When something is due."""
    reserved = made.reserve()
    if reserved is None:
        return math.inf
    assert made.take(reserved, -math.inf) is None  # it is free again
    return reserved.due


def take_due(made: Schedule[Task], now: float) -> list[Task]:
    """The tasks whose turn has come."""
    due = []
    while (reserved := made.reserve()) is not None:
        task = made.take(reserved, now)
        if task is not None:
            due.append(task)
        elif reserved.due > now:
            break
    return due


def poll_times(made: Schedule[Task], durations: Sequence[float], until: float = math.inf) -> list[float]:
    """When a single account is polled, each poll lasting as long as the next of these durations."""
    times = []
    for duration in durations:
        now = next_at(made)
        if now > until:
            break
        (due,) = take_due(made, now)
        times.append(now)
        take_due(made, now + duration)  # somebody looks at the clock meanwhile
        end(made, due, now + duration)
    return times


def end(made: Schedule[Task], polled: Task, not_before: float) -> float | None:
    """The poll has ended, and the next one is not to start before."""
    due = made.delay(polled, not_before)
    made.finished(polled)
    return due


def test_the_first_poll_is_due_at_once() -> None:
    assert next_at(schedule(account(), now=5.0)) == 5.0


def test_nothing_is_due_without_accounts() -> None:
    assert next_at(schedule()) == math.inf


def test_poll_times_do_not_drift() -> None:
    times = poll_times(schedule(account(interval=10.0), now=1000.0), [0.7, 3.1, 0.001] * 10_000)
    assert times[-1] == pytest.approx(1000.0 + 10.0 * 29_999, abs=1e-6)
    assert all(abs((time - 1000.0) / 10.0 - round((time - 1000.0) / 10.0)) < 1e-9 for time in times)


def test_a_poll_that_takes_longer_than_the_interval_costs_the_turns_it_overlaps_and_no_more() -> None:
    made = schedule(account(interval=10.0))
    assert poll_times(made, [25.0, 0.1, 10.0, 0.1]) == [0.0, 30.0, 40.0, 60.0]


def test_an_account_is_not_due_while_its_poll_runs() -> None:
    made = schedule(account(interval=10.0))
    (running,) = take_due(made, 0.0)
    assert [take_due(made, now) for now in (10.0, 20.0, 300.0)] == [[], [], []]
    end(made, running, 301.0)
    assert take_due(made, 301.0) == []
    assert take_due(made, 310.0) == [running]


def test_after_a_long_sleep_an_account_is_polled_once() -> None:
    made = schedule(account())
    assert poll_times(made, [0.1]) == [0.0]
    assert len(take_due(made, 86_400.0)) == 1
    assert take_due(made, 86_400.0) == []


def test_new_accounts_are_spread_over_the_first_round() -> None:
    accounts = [account(str(index)) for index in range(20)]
    made = schedule(*accounts)
    moments = [(step + 0.5) * FIRST_ROUND_SECONDS / 20 for step in range(20)]
    assert [len(take_due(made, moment)) for moment in moments] == [1] * 20
    for one in accounts:
        end(made, one, 2.0)
    assert [len(take_due(made, 10 + moment)) for moment in moments] == [1] * 20


def test_very_many_new_accounts_take_half_of_the_permitted_rate() -> None:
    made = schedule(*[account(str(index), interval=600.0) for index in range(1000)])
    assert len(take_due(made, 10.0)) == pytest.approx(10.0 * RATE / 2, abs=1)


def test_a_wait_ends_on_the_grid() -> None:
    made = schedule(account(interval=10.0))
    (polled,) = take_due(made, 0.0)
    assert end(made, polled, 303.0) == 310.0
    assert next_at(made) == 310.0


def test_a_poll_without_a_wait_leaves_the_next_time_alone() -> None:
    made = schedule(account(interval=10.0))
    (polled,) = take_due(made, 0.0)
    assert end(made, polled, 0.5) == 10.0


def test_hold_keeps_everybody_back_and_says_until_when() -> None:
    early, late = account("early", 10.0), account("late", 1000.0)
    made = schedule(early, late)
    for polled in take_due(made, 1.0):
        end(made, polled, 1.0)
    assert made.delay_all(605.0) == [(early, 610.0)]  # late is not due before
    assert take_due(made, 609.0) == []
    assert take_due(made, 610.0) == [early]


def test_release_ends_waits_and_leaves_the_others_alone() -> None:
    waiting, usual = account("waiting"), account("usual")
    made = schedule(waiting, usual)
    take_due(made, 1.0)
    end(made, waiting, 300.0)
    end(made, usual, 1.0)
    made.release(2.0)
    assert take_due(made, 2.0) == [waiting]
    made.release(3.0)
    assert take_due(made, 3.0) == []


def test_after_a_release_the_grid_is_the_old_one() -> None:
    made = schedule(account(interval=10.0))
    (polled,) = take_due(made, 0.0)
    end(made, polled, 300.0)
    made.release(13.0)
    assert poll_times(made, [0.1, 0.1]) == [13.0, 20.0]


def test_an_account_that_is_configured_as_it_was_keeps_its_times() -> None:
    made = schedule(account("a"), now=0.0)
    poll_times(made, [0.1])
    made.replace([account("b"), account("a")], 7.0, RATE)
    assert take_due(made, 7.0) == [account("b")]
    assert take_due(made, 10.0) == [account("a")]


@pytest.mark.parametrize(("changed", "keep"), [(account(interval=20.0), True), (account(), False)])
def test_a_changed_account_is_new_and_so_is_every_account_of_another_exchange(changed: Task, keep: bool) -> None:
    made = schedule(account(interval=10.0))
    poll_times(made, [0.1])
    made.replace([changed], 7.0, RATE, keep=keep)
    assert next_at(made) == 7.0


def test_a_removed_account_is_never_due_again_and_its_last_poll_goes_nowhere() -> None:
    removed = account("removed")
    made = schedule(removed)
    take_due(made, 0.0)
    made.replace([], 1.0, RATE)
    assert end(made, removed, 300.0) is None
    assert take_due(made, 1e9) == []


def test_the_end_of_an_overtaken_poll_does_not_disturb_the_account_s_successor() -> None:
    old, new = account(interval=10.0), account(interval=20.0)
    made = schedule(old)
    take_due(made, 0.0)
    made.replace([new], 1.0, RATE)
    assert take_due(made, 1.0) == [new]
    assert end(made, old, 1.0) is None
    assert take_due(made, 500.0) == []  # the new account's poll runs


@given(
    interval=st.floats(1.0, 86_400.0),
    start=st.floats(0.0, 1e9),
    durations=st.lists(st.floats(0.0, 1e5), min_size=1, max_size=50),
)
def test_whatever_polls_take_they_stay_on_the_grid_and_never_overlap(
    interval: float, start: float, durations: list[float]
) -> None:
    times = poll_times(schedule(account(interval=interval), now=start), durations)
    assert len(times) == len(durations)
    for index, (time, following) in enumerate(itertools.pairwise(times)):
        assert following >= time + durations[index]
        assert following - (time + durations[index]) <= interval * (1 + 1e-6)
    grid = [(time - start) / interval for time in times]
    assert all(abs(step - round(step)) < 1e-3 for step in grid)


def test_what_is_beside_the_polls_comes_a_little_later_and_in_its_own_share() -> None:
    polls = [Task(f"poll {number}", 600.0) for number in range(100)]
    beside = [Task(f"beside {number}", 600.0, start_share=0.1) for number in range(100)]
    rare = [Task(f"rare {number}", 600.0, start_share=0.02) for number in range(100)]
    made = schedule(*polls, *beside, *rare)
    first = take_due(made, 0.0)
    assert [task.key for task in first] == ["poll 0"]
    due = [*first, *take_due(made, 2.0001)]
    begun = {share: sum(task.start_share == share for task in due) for share in (POLLS_SHARE, 0.1, 0.02)}
    assert begun == {POLLS_SHARE: 100, 0.1: 20, 0.02: 4}
