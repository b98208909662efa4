"""Amounts, times and texts from outside."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bybit_exporter.web.status_page.formatting import (
    MAX_SHOWN_CHARACTERS,
    ago,
    ahead,
    amount,
    approximate,
    counted,
    percent,
    usd,
    visible,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E+6", "1,000,000"),
        ("1234567.000000000000000001", "1,234,567.000000000000000001"),
        ("-1250000.50", "\N{MINUS SIGN}1,250,000.50"),
        ("0.00000001", "0.00000001"),
        ("0E-18", "0"),
        ("-0.00", "0"),
    ],
)
def test_amount_of_any_size_has_thousands_separated_and_every_digit(value: str, text: str) -> None:
    assert amount(Decimal(value)) == text


@pytest.mark.parametrize(
    ("value", "text"), [("1234.567", "1,234.57"), ("-1234.5", "\N{MINUS SIGN}1,234.50"), ("0.00", "0")]
)
def test_usd_of_any_size_has_cents(value: str, text: str) -> None:
    assert usd(Decimal(value)) == text


def test_approximate_large_and_small_values_are_written_like_amounts() -> None:
    assert [approximate(12345678.9), approximate(-0.000012), approximate(0.0)] == [
        "12,345,680",
        "\N{MINUS SIGN}0.000012",
        "0",
    ]


def test_percent_of_ratio_has_one_decimal_place() -> None:
    assert [percent(Decimal(ratio)) for ratio in ("0.4237", "1.5", "0")] == ["42.4%", "150.0%", "0%"]


def test_counted_one_and_many_have_their_grammatical_number() -> None:
    assert [counted(1, "account"), counted(2000, "account")] == ["1 account", "2,000 accounts"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.9, "just now"), (59.9, "59s ago"), (61, "1m1s ago"), (7384, "2h3m ago"), (3e5, "3d11h ago")],
)
def test_ago_any_duration_is_rounded_to_what_matters(seconds: float, words: str) -> None:
    assert ago(seconds) == words


def test_ahead_past_moment_is_now() -> None:
    assert [ahead(-5), ahead(0.5), ahead(300)] == ["now", "now", "in 5m"]


def test_visible_unprintable_characters_are_replaced() -> None:
    assert visible("a\u202eb\u200bc\x00d\ud800") == "a�b�c�d�"
    assert visible("é ع 漢") == "é ع 漢"


def test_visible_long_text_is_cut() -> None:
    assert len(visible("x" * 10_000)) == MAX_SHOWN_CHARACTERS
