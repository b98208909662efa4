"""Durations as Prometheus writes them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_exporter import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("1m30s", 90),
        ("500ms", 0.5),
        ("1h", 3600),
        ("1d12h", 129_600),
        ("1w", 604_800),
        ("1y2w3d4h5m6s7ms", 31_536_000 + 2 * 604_800 + 3 * 86_400 + 4 * 3600 + 5 * 60 + 6.007),
        ("0s", 0),
        ("007s", 7),
    ],
)
def test_duration_is_parsed(text: str, seconds: float) -> None:
    assert durations.parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "90",
        "s",
        "1.5s",
        "-1s",
        "+1s",
        "1 s",
        " 1s",
        "1s ",
        "1s\n",
        "1S",
        "30s1m",
        "1s1s",
        "1µs",
        "\u0661s",
        "1e3s",
        "∞",
    ],
)
def test_text_that_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        durations.parse(text)


def test_duration_with_a_very_long_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a duration"):
        durations.parse("9" * 5000 + "s")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.0004, "0s"), (0.5, "500ms"), (90, "1m30s"), (600, "10m"), (86_400, "1d"), (61.25, "1m1s250ms")],
)
def test_duration_is_formatted(seconds: float, text: str) -> None:
    assert durations.show(seconds) == text


@given(st.integers(0, 10**12))
def test_formatted_duration_parses_to_the_same_value(milliseconds: int) -> None:
    assert durations.parse(durations.show(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert durations.parse(text) >= 0
