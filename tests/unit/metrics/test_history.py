"""The last hour of each coin: its points, its gaps, and its memory."""

from __future__ import annotations

import math
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from bybit_exporter.metrics.history import POINTS, STEP_SECONDS, History
from bybit_exporter.model import Account
from tests.browser.site import Amounts, Site, an_account, snapshot

GAP = None
START = 1_000_000 * STEP_SECONDS


class Recorder:
    """A history with one account, written and read in minutes since the start."""

    def __init__(self, stale_after: float = 90.0) -> None:
        self.history = History()
        self.account = an_account("main", stale_after)

    def success(self, minute: float, **amounts: str) -> None:
        self.history.record(self.account, START + minute * STEP_SECONDS, snapshot(amounts).balances)

    def failure(self, minute: float) -> None:
        self.history.record(self.account, START + minute * STEP_SECONDS, None)

    def line(self, now: float, last: int, coin: str = "BTC") -> list[float | None]:
        """The last points of the line at that minute."""
        points = self.history.last_hour(self.account, START + now * STEP_SECONDS)[coin]
        assert len(points) == POINTS
        return [None if math.isnan(point) else point for point in points[-last:]]


def test_point_is_the_total_of_a_coin() -> None:
    recorder = Recorder()
    recorder.success(0, BTC="1.5 0.25 0.125")
    assert recorder.line(0, 2) == [GAP, 1.875]


def test_point_is_that_of_the_last_poll_in_its_minute() -> None:
    recorder = Recorder()
    for tenth, amount in enumerate("123"):
        recorder.success(tenth / 10, BTC=amount)
    recorder.success(1, BTC="4")
    assert recorder.line(1, 3) == [GAP, 3, 4]


def test_points_between_rare_polls_have_the_latest_total() -> None:
    recorder = Recorder(stale_after=900)
    recorder.success(0, BTC="1")
    recorder.success(5, BTC="2")
    assert recorder.line(6, 8) == [GAP, 1, 1, 1, 1, 1, 2, 2]


def test_stale_period_is_a_gap() -> None:
    recorder = Recorder(stale_after=90)
    recorder.success(0, BTC="1")
    recorder.success(5, BTC="1")
    assert recorder.line(5, 6) == [1, 1, GAP, GAP, GAP, 1]


def test_failed_period_is_a_gap_before_the_figures_expire() -> None:
    recorder = Recorder(stale_after=900)
    recorder.success(0, BTC="1")
    for minute in (1, 2, 3):
        recorder.failure(minute)
    recorder.success(4, BTC="1")
    assert recorder.line(4, 5) == [1, GAP, GAP, GAP, 1]


def test_line_ends_when_the_figures_are_unknown() -> None:
    recorder = Recorder(stale_after=90)
    recorder.success(0, BTC="1")
    assert recorder.line(3, 5) == [GAP, 1, 1, GAP, GAP]
    assert recorder.line(POINTS + 1, POINTS) == [GAP] * POINTS


def test_failure_after_expiry_leaves_the_gap() -> None:
    recorder = Recorder(stale_after=90)
    recorder.success(0, BTC="1")
    recorder.failure(5)
    assert recorder.line(6, 7) == [1, 1, GAP, GAP, GAP, GAP, GAP]


def test_oldest_point_is_removed_after_an_hour() -> None:
    recorder = Recorder()
    for minute in range(POINTS + 10):
        recorder.success(minute, BTC=str(minute))
    assert recorder.line(POINTS + 9, POINTS) == list(range(10, POINTS + 10))


def test_pause_of_any_length_is_a_gap() -> None:
    for minutes in (POINTS - 1, POINTS, POINTS + 1, 3 * POINTS, 10_000):
        recorder = Recorder()
        recorder.success(0, BTC="1")
        recorder.success(minutes, BTC="2")
        assert recorder.line(minutes, POINTS - 2) == [GAP] * (POINTS - 3) + [2]


def test_late_result_counts_in_the_current_minute() -> None:
    recorder = Recorder()
    recorder.success(0, BTC="1")
    assert recorder.line(1, 2) == [1, 1]
    recorder.success(0.99, BTC="2")
    assert recorder.line(1, 2) == [1, 2]


def test_coin_that_is_gone_is_removed_and_a_new_one_begins_with_a_gap() -> None:
    recorder = Recorder()
    recorder.success(0, BTC="1", ETH="2")
    recorder.success(1, BTC="1", SOL="3")
    assert recorder.line(1, 2, "SOL") == [GAP, 3]
    recorder.success(2, BTC="1", ETH="2")
    assert recorder.line(2, 3, "ETH") == [GAP, GAP, 2]


def test_account_that_is_not_retained_is_removed() -> None:
    recorder, other = Recorder(), an_account("other")
    recorder.success(0, BTC="1")
    recorder.history.retain([other, recorder.account])
    assert recorder.line(0, 1) == [1]
    recorder.history.retain([an_account("main"), other])  # the same name, configured anew
    assert recorder.history.last_hour(recorder.account, START) == {}


def coins(count: int) -> Amounts:
    return {f"C{number}": "1" for number in range(count)}


def test_series_over_the_limit_have_no_line_until_others_are_removed() -> None:
    history = History(max_series=10)
    first, second = an_account("first"), an_account("second")

    def lines(account: Account, count: int) -> int:
        history.record(account, START, snapshot(coins(count)).balances)
        return len(history.last_hour(account, START))

    assert [lines(first, 7), lines(second, 7), lines(first, 7)] == [7, 3, 7]
    assert [lines(first, 2), lines(second, 7), lines(first, 7)] == [2, 7, 3]
    history.retain([first])
    assert lines(first, 20) == 10


def test_memory_of_1000_accounts_of_20_coins_is_as_documented() -> None:
    history, balances = History(), snapshot(coins(20)).balances
    tracemalloc.start()
    try:
        for number in range(1001):
            history.record(an_account(f"account-{number}"), START, balances)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 15e6


def test_store_keeps_the_history_of_its_accounts() -> None:
    site = Site("main", "other")
    for name, account in site.accounts.items():
        site.read(name, {"BTC": "1"})
        assert list(site.store.history.last_hour(account, site.clock.now)) == ["BTC"]
    main, other = site.accounts.values()
    site.store.replace_accounts([main])
    site.read("other", {"BTC": "1"})  # a poll that the reload has overtaken
    assert site.store.history.last_hour(main, site.clock.now)
    assert not site.store.history.last_hour(other, site.clock.now)
    site.store.replace_accounts([main], keep=False)
    assert not site.store.history.last_hour(main, site.clock.now)


polls = st.lists(st.tuples(st.floats(0.001, 200), st.one_of(st.none(), st.integers(1, 5))), max_size=30)


@given(polls, st.floats(0, 200))
def test_point_after_any_events_is_a_total_of_the_last_hour(
    steps: list[tuple[float, int | None]], pause: float
) -> None:
    """Seen from outside: each point against all that was ever said."""
    recorder, now, stated = Recorder(stale_after=600), 0.0, [(0.0, 1)]
    recorder.success(now, BTC="1")
    for step, amount in steps:
        now += step
        if amount is None:
            recorder.failure(now)
        else:
            recorder.success(now, BTC=str(amount))
            stated.append((now, amount))
    now += pause
    for index, point in enumerate(recorder.line(now, POINTS)):
        minute = math.floor(now) - POINTS + 1 + index
        said = {amount for moment, amount in stated if minute - 10 <= moment < minute + 1}
        assert point is None or point in said
