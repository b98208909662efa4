"""Decimal strings become exact numbers, or the answer is malformed."""

from __future__ import annotations

import math
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_exporter.bybit.amounts import ZERO, OptionalText, amount, amount_if_present, amount_if_stated, minus, plus
from bybit_exporter.bybit.errors import BybitError
from bybit_exporter.model import FailureReason

LARGEST = Decimal("1.7e308")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", "0"),
        ("0", "0"),
        ("1e-8", "0.00000001"),
        ("1E+8", "100000000"),
        ("0011.50", "11.50"),
        ("0.123456789012345678", "0.123456789012345678"),
        ("123456789012345678.123456789012345678", "123456789012345678.123456789012345678"),
        ("-5.25", "-5.25"),
        ("+1", "1"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e308", "1e308"),
        ("9" * 300, "9" * 300),
        ("-0.000", "0"),
        ("1e-999999999", "0"),
        ("0e999999999", "0"),
    ],
)
def test_amount_is_parsed_exactly(text: str, number: str) -> None:
    assert amount(text, "") == Decimal(number)


@pytest.mark.parametrize("text", ["0.000", "-0", "-0.000", "-1e-999", "0e99", "1e-999999999"])
def test_amount_of_zero_has_no_sign_and_no_exponent(text: str) -> None:
    assert str(amount(text, "")) == "0"


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
def test_amount_of_any_decimal_number_is_that_number(number: Decimal) -> None:
    assert amount(str(number), "") == number


@given(st.text())
def test_amount_of_any_text_is_finite_or_malformed(text: str) -> None:
    try:
        number = float(amount(text, "field"))
    except BybitError as error:
        number = 0.0 if error.reason is FailureReason.MALFORMED else math.nan
    assert math.isfinite(number)


@pytest.mark.parametrize(
    ("text", "if_present", "if_stated"),
    [
        (msgspec.UNSET, None, None),
        ("", 0, None),
        ("0", 0, 0),
        ("-0.0", 0, 0),
        ("-1.5", Decimal("-1.5"), Decimal("-1.5")),
    ],
)
def test_optional_amount_absent_or_empty_is_none_or_zero(
    text: OptionalText, if_present: Decimal | None, if_stated: Decimal | None
) -> None:
    assert amount_if_present(text, "") == if_present
    assert amount_if_stated(text, "") == if_stated


@pytest.mark.parametrize("text", ["NaN", " ", "1,5", "1e999"])
def test_optional_amount_not_a_number_is_malformed(text: str) -> None:
    for parse in (amount_if_present, amount_if_stated):
        with pytest.raises(BybitError, match=r"^field: not a finite decimal number") as caught:
            parse(text, "field")
        assert caught.value.reason is FailureReason.MALFORMED


def test_difference_and_sum_are_exact() -> None:
    assert minus(Decimal("0.3"), Decimal("0.1"), "") == Decimal("0.2")
    assert plus(Decimal("123456789012345678901234567890"), Decimal("1e-18"), "") == Decimal(
        "123456789012345678901234567890.000000000000000001"
    )
    assert plus(LARGEST, ZERO, "") == minus(LARGEST, ZERO, "") == LARGEST


def test_difference_and_sum_beyond_a_float_are_malformed() -> None:
    with pytest.raises(BybitError, match=r"^field: the result is larger than a float"):
        minus(-LARGEST, LARGEST, "field")
    with pytest.raises(BybitError, match=r"^field: the result is larger than a float"):
        plus(LARGEST, LARGEST, "field")
