"""The query of the status page: a filter and the order of the coins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from urllib.parse import urlencode

from ...model import Balance

MAX_FILTER_CHARACTERS = 200

SORTS = {
    "": "As listed",
    "coin": "Coin, A to Z",
    "-coin": "Coin, Z to A",
    "-free": "Free, most first",
    "free": "Free, least first",
    "-frozen": "Frozen, most first",
    "frozen": "Frozen, least first",
    "-withdrawing": "Withdrawing, most first",
    "withdrawing": "Withdrawing, least first",
    "-borrowed": "Borrowed, most first",
    "borrowed": "Borrowed, least first",
    "-usd_value": "Value, most first",
    "usd_value": "Value, least first",
}
"""Values of the query parameter ``sort``: a field of `Balance`, with a minus sign for descending."""


@dataclass(frozen=True, slots=True)
class Query:
    """Query parameters of the status page."""

    filter: str = ""
    sort: str = ""

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Query:
        """Reads the parameters ``q`` and ``sort``. A value that is not valid counts as not given."""
        sort = parameters.get("sort", "")
        return cls(parameters.get("q", "").strip()[:MAX_FILTER_CHARACTERS], sort if sort in SORTS else "")

    def href(self, **changes: str) -> str:
        """Returns the address of the page with another filter or order."""
        given = {"q": self.filter, "sort": self.sort} | changes
        return "/?" + urlencode({name: value for name, value in given.items() if value}, errors="replace")

    def resorted(self, field: str) -> str:
        """Returns the address of the page sorted by a column; in reverse if it is sorted by that already."""
        first, second = (field, "-" + field) if field == "coin" else ("-" + field, field)
        return self.href(sort=second if self.sort == first else first)

    def aria_sort(self, field: str) -> str:
        """Returns how a column is sorted now: a value of ``aria-sort``."""
        return {field: "ascending", "-" + field: "descending"}.get(self.sort, "none")

    def matches(self, text: str) -> bool:
        """Returns whether a text contains the filter's."""
        return self.filter.casefold() in text.casefold()

    def begins(self, word: str) -> bool:
        """Returns whether a word begins with the filter's text."""
        return word.casefold().startswith(self.filter.casefold())

    def ordered(self, balances: Sequence[Balance]) -> Sequence[Balance]:
        """Returns the balances in this order; those without a figure to sort by are last."""
        if not self.sort:
            return balances
        field = attrgetter(self.sort.lstrip("-"))
        stated = [balance for balance in balances if field(balance) is not None]
        unstated = [balance for balance in balances if field(balance) is None]
        return sorted(stated, key=field, reverse=self.sort.startswith("-")) + unstated
