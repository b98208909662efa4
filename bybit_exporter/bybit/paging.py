"""Reads answers that have several pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from msgspec.structs import replace

from ..model import Account
from .client import Answer, Client
from .errors import MALFORMED, BybitError

MAX_PAGES = 1000

PAUSE_SECONDS = 0.4
"""Between two pages, and between the balances of two subaccounts. The endpoints allow 5 requests a second to all
clients of an account together, and requests sent apart may arrive close to each other."""


class Page(Protocol):
    """One page of an answer."""

    @property
    def next_cursor(self) -> str | None:
        """The parameter for the next page; None, ``""`` or ``"0"`` after the last."""


P = TypeVar("P", bound=Page)


def read_pages(
    client: Client, account: Account, path: str, params: Mapping[str, str], page: type[P], cursor: str
) -> Answer[list[P]]:
    """Reads all pages. The answer has the age of the first page and the rate limits of the last.

    ``cursor`` is the name of the parameter for a further page.

    Raises:
        BybitError: for any failure of any page, and ``malformed`` if the pages do not end.
    """
    answer = client.get(path, params, page, account)
    asked_at, pages, seen = answer.asked_at, [answer.result], {""}
    while (position := answer.result.next_cursor) not in (None, "", "0"):
        if position in seen or len(pages) == MAX_PAGES:
            raise BybitError(MALFORMED, f"the pages of {path} do not end")
        seen.add(position)
        client.rate_limiter.sleep(PAUSE_SECONDS)
        answer = client.get(path, {**params, cursor: position}, page, account)
        pages.append(answer.result)
    return replace(answer.with_result(pages), asked_at=asked_at)
