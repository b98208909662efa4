"""The times of the jobs. The clock is a number."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_exporter.model import Resource
from bybit_exporter.polling.jobs.api_key import ApiKeyJob
from bybit_exporter.polling.jobs.job import Job
from bybit_exporter.polling.jobs.products import ProductsJob
from bybit_exporter.polling.jobs.wallet import WalletJob
from bybit_exporter.polling.schedule import FIRST_ROUND_SECONDS, Schedule
from tests.builders import make_account

RATE = 100.0


def make_job(name: str = "a", interval: float = 10.0) -> WalletJob:
    return WalletJob(make_account(name, poll_interval_seconds=interval))


def schedule(*accounts: Job[Any], now: float = 0.0) -> Schedule:
    made = Schedule()
    made.replace(accounts, now, RATE, keep=True)
    return made


def next_at(made: Schedule) -> float:
    """When the next job is due."""
    reserved = made.reserve()
    if reserved is None:
        return math.inf
    assert made.take(reserved, -math.inf) is None  # ends the reservation
    return reserved.due


def take_due(made: Schedule, now: float) -> list[Job[Any]]:
    """The jobs that are due."""
    due = []
    while (reserved := made.reserve()) is not None:
        job = made.take(reserved, now)
        if job is not None:
            due.append(job)
        elif reserved.due > now:
            break
    return due


def run_times(made: Schedule, durations: Sequence[float], until: float = math.inf) -> list[float]:
    """When a single job runs, if its runs have these durations."""
    times = []
    for duration in durations:
        now = next_at(made)
        if now > until:
            break
        (due,) = take_due(made, now)
        times.append(now)
        take_due(made, now + duration)  # the schedule is asked during the run
        end_run(made, due, now + duration)
    return times


def end_run(made: Schedule, job: Job[Any], not_before: float) -> float | None:
    """Ends a run. The next one must not start before this moment."""
    due = made.delay(job, not_before, releasable=True)
    made.finished(job)
    return due


def test_first_poll_is_due_immediately() -> None:
    assert next_at(schedule(make_job(), now=5.0)) == 5.0


def test_empty_schedule_has_nothing_due() -> None:
    assert next_at(schedule()) == math.inf


def test_poll_times_do_not_drift() -> None:
    times = run_times(schedule(make_job(interval=10.0), now=1000.0), [0.7, 3.1, 0.001] * 10_000)
    assert times[-1] == pytest.approx(1000.0 + 10.0 * 29_999, abs=1e-6)
    assert all(abs((time - 1000.0) / 10.0 - round((time - 1000.0) / 10.0)) < 1e-9 for time in times)


def test_poll_longer_than_the_interval_misses_only_the_runs_it_overlaps() -> None:
    made = schedule(make_job(interval=10.0))
    assert run_times(made, [25.0, 0.1, 10.0, 0.1]) == [0.0, 30.0, 40.0, 60.0]


def test_running_job_is_not_due() -> None:
    made = schedule(make_job(interval=10.0))
    (running,) = take_due(made, 0.0)
    assert [take_due(made, now) for now in (10.0, 20.0, 300.0)] == [[], [], []]
    end_run(made, running, 301.0)
    assert take_due(made, 301.0) == []
    assert take_due(made, 310.0) == [running]


def test_job_after_a_long_sleep_is_due_once() -> None:
    made = schedule(make_job())
    assert run_times(made, [0.1]) == [0.0]
    assert len(take_due(made, 86_400.0)) == 1
    assert take_due(made, 86_400.0) == []


def test_job_that_has_not_been_due_yet_is_spread_again_by_the_new_rate() -> None:
    accounts = [make_job(str(index)) for index in range(5)]
    made = Schedule()
    made.replace(accounts, 0.0, 0.01, keep=True)
    (first,) = take_due(made, 1.0)
    made.finished(first)
    made.replace([make_job(str(index)) for index in range(5)], 5.0, RATE, keep=True)
    again = take_due(made, 5.0 + FIRST_ROUND_SECONDS)
    assert [id(job) for job in again] == [id(job) for job in accounts[1:]], "they may refer to each other"
    assert take_due(made, 9.9) == []
    assert take_due(made, 10.0) == [first]


def test_new_jobs_are_spread_over_the_first_round() -> None:
    accounts = [make_job(str(index)) for index in range(20)]
    made = schedule(*accounts)
    moments = [(step + 0.5) * FIRST_ROUND_SECONDS / 20 for step in range(20)]
    assert [len(take_due(made, moment)) for moment in moments] == [1] * 20
    for one in accounts:
        end_run(made, one, 2.0)
    assert [len(take_due(made, 10 + moment)) for moment in moments] == [1] * 20


def test_many_new_jobs_use_half_of_the_permitted_rate() -> None:
    made = schedule(*[make_job(str(index), interval=600.0) for index in range(1000)])
    assert len(take_due(made, 10.0)) == pytest.approx(10.0 * RATE / 2, abs=1)


def test_delay_ends_on_the_grid() -> None:
    made = schedule(make_job(interval=10.0))
    (polled,) = take_due(made, 0.0)
    assert end_run(made, polled, 303.0) == 310.0
    assert next_at(made) == 310.0


def test_run_without_a_delay_keeps_the_next_time() -> None:
    made = schedule(make_job(interval=10.0))
    (polled,) = take_due(made, 0.0)
    assert end_run(made, polled, 0.5) == 10.0


def test_delay_all_delays_every_job_and_returns_the_new_times() -> None:
    early, late = make_job("early", 10.0), make_job("late", 1000.0)
    made = schedule(early, late)
    for polled in take_due(made, 1.0):
        end_run(made, polled, 1.0)
    assert made.delay_all(605.0) == [(early, 610.0)]  # late is not due before
    assert take_due(made, 609.0) == []
    assert take_due(made, 610.0) == [early]


def test_release_ends_delays_and_keeps_other_times() -> None:
    waiting, usual = make_job("waiting"), make_job("usual")
    made = schedule(waiting, usual)
    take_due(made, 1.0)
    end_run(made, waiting, 300.0)
    end_run(made, usual, 1.0)
    made.release(2.0, 0.0)
    assert take_due(made, 2.0) == [waiting]
    made.release(3.0, 0.0)
    assert take_due(made, 3.0) == []


def test_release_keeps_the_grid() -> None:
    made = schedule(make_job(interval=10.0))
    (polled,) = take_due(made, 0.0)
    end_run(made, polled, 300.0)
    made.release(13.0, 0.0)
    assert run_times(made, [0.1, 0.1]) == [13.0, 20.0]


def test_unchanged_job_keeps_its_times() -> None:
    made = schedule(make_job("a"), now=0.0)
    run_times(made, [0.1])
    made.replace([make_job("b"), make_job("a")], 7.0, RATE, keep=True)
    assert take_due(made, 7.0) == [make_job("b")]
    assert take_due(made, 10.0) == [make_job("a")]


@pytest.mark.parametrize(("changed", "keep"), [(make_job(interval=20.0), True), (make_job(), False)])
def test_changed_job_is_new_and_so_is_every_job_without_keep(changed: Job[Any], keep: bool) -> None:
    made = schedule(make_job(interval=10.0))
    run_times(made, [0.1])
    made.replace([changed], 7.0, RATE, keep=keep)
    assert next_at(made) == 7.0


def test_removed_job_is_never_due_and_cannot_be_delayed() -> None:
    removed = make_job("removed")
    made = schedule(removed)
    take_due(made, 0.0)
    made.replace([], 1.0, RATE, keep=True)
    assert end_run(made, removed, 300.0) is None
    assert take_due(made, 1e9) == []


def test_end_of_a_removed_job_s_run_does_not_affect_its_successor() -> None:
    old, new = make_job(interval=10.0), make_job(interval=20.0)
    made = schedule(old)
    take_due(made, 0.0)
    made.replace([new], 1.0, RATE, keep=True)
    assert take_due(made, 1.0) == [new]
    assert end_run(made, old, 1.0) is None
    assert take_due(made, 500.0) == []  # the new job runs


@given(
    interval=st.floats(1.0, 86_400.0),
    start=st.floats(0.0, 1e9),
    durations=st.lists(st.floats(0.0, 1e5), min_size=1, max_size=50),
)
def test_runs_of_any_duration_stay_on_the_grid_and_never_overlap(
    interval: float, start: float, durations: list[float]
) -> None:
    times = run_times(schedule(make_job(interval=interval), now=start), durations)
    assert len(times) == len(durations)
    for index, (time, following) in enumerate(itertools.pairwise(times)):
        assert following >= time + durations[index]
        assert following - (time + durations[index]) <= interval * (1 + 1e-6)
    grid = [(time - start) / interval for time in times]
    assert all(abs(step - round(step)) < 1e-3 for step in grid)


def test_other_jobs_start_after_the_polls_at_their_own_rate() -> None:
    accounts = [make_account(f"a{number}", poll_interval_seconds=600.0) for number in range(100)]
    kinds = (WalletJob, lambda account: ProductsJob(account, 600.0), lambda account: ApiKeyJob(account, 300.0))
    made = schedule(*[kind(account) for kind in kinds for account in accounts])
    first = take_due(made, 0.0)
    assert [job.resource for job in first] == [Resource.WALLET]
    due = [*first, *take_due(made, 2.0001)]
    assert Counter(job.resource for job in due) == {Resource.WALLET: 100, Resource.PRODUCTS: 20, Resource.API_KEY: 2}
