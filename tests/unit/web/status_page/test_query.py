"""The filter and the order in the page's address."""

from __future__ import annotations

from bybit_exporter.web.status_page.query import Query


def test_query_column_link_sorts_then_reverses_and_keeps_the_filter() -> None:
    assert Query("a b").resorted("free") == "/?q=a+b&sort=-free"
    assert Query("a b", "-free").resorted("free") == "/?q=a+b&sort=free"
    assert Query("", "coin").resorted("coin") == "/?sort=-coin"


def test_query_invalid_parameters_count_as_not_given() -> None:
    assert Query.of({"sort": "__class__", "q": " " + "x" * 500}) == Query("x" * 200)
