"""A coin's last hour as a line."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_exporter.web.status_page.sparkline import HEIGHT, MIN_POINTS, WIDTH, sparkline


def pens(path: str) -> list[tuple[float, float]]:
    """The stretches, from x to x, that a path draws."""
    stretches = []
    for part in path.split("M")[1:]:
        xs = [float(x) for x in re.findall(r"(?:^|H)(-?[\d.e+]+)", part)]
        stretches.append((xs[0], xs[-1]))
    return stretches


def test_sparkline_gap_in_the_points_is_a_gap_in_the_line() -> None:
    line = sparkline([math.nan, 1, 2, math.nan, math.nan, 2])
    assert line
    assert pens(line.path) == [(20, 60), (100, 120)]
    assert line.description == "total in the last hour: lowest 1, highest 2, known for 3 of 6 minutes"


def test_sparkline_slight_change_is_drawn_flat() -> None:
    """0.01 % of the amount moves the line by less than a pixel, 1 % over its whole height."""
    slight, clear = sparkline([100, 100, 100.01, 100.01]), sparkline([99, 99, 100, 100])
    assert slight
    assert clear
    assert slight.path == "M0 12.1H60V11.9H120"
    assert clear.path == "M0 22H60V2H120"


@pytest.mark.parametrize(
    ("points", "change"),
    [
        ([1, 1, 1], "±0%"),
        ([100, 100, 101], "+1.00%"),
        ([4, 4, 3], "\N{MINUS SIGN}25.00%"),
        ([1, 1, 100], "+>999%"),
        ([0, 1, 1], ""),
    ],
)
def test_sparkline_change_is_from_the_first_to_the_last_point(points: list[float], change: str) -> None:
    line = sparkline(points)
    assert line
    assert line.change == change


@pytest.mark.parametrize("known", range(MIN_POINTS))
def test_sparkline_less_than_two_minutes_is_none(known: int) -> None:
    assert sparkline([math.nan] * (60 - known) + [1.0] * known) is None


amounts = st.one_of(st.just(math.nan), st.just(math.inf), st.floats(-1.7e308, 1.7e308))


@given(st.lists(amounts, min_size=1, max_size=60))
def test_sparkline_any_points_stay_in_the_box(points: list[float]) -> None:
    line = sparkline(points)
    if line:
        assert "nan" not in line.path
        assert "inf" not in line.path
        ys = [float(y) for y in itertools.chain(*re.findall(r"M[\d.e-]+ ([\d.e-]+)|V([\d.e-]+)", line.path)) if y]
        assert all(0 <= y <= HEIGHT for y in ys)
        assert all(0 <= start < end <= WIDTH + 0.01 for start, end in pens(line.path))
