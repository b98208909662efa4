"""Reads answers that have several pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec.structs import replace

from ..model import Account
from .client import Answer, Client
from .errors import MALFORMED, BybitError

T = TypeVar("T")

MAX_PAGES = 1000

PAUSE_SECONDS = 0.4
"""Between two pages, and between the balances of two subaccounts. The endpoints allow 5 requests a second to all
clients of an account together, and requests sent apart may arrive close to each other."""


def read_pages(
    client: Client,
    account: Account,
    path: str,
    params: Mapping[str, str],
    page: type[T],
    cursor: str,
    next_cursor: Callable[[T], str | None],
) -> Answer[list[T]]:
    """Reads all pages. The answer has the age of the first page and the rate limits of the last.

    ``cursor`` is the name of the parameter for a further page. ``next_cursor`` gets its value from the page before; it
    is None, ``""`` or ``"0"`` after the last.

    Raises:
        BybitError: for any failure of any page, and ``malformed`` if the pages do not end.
    """
    answer = client.get(path, params, page, account)
    asked_at, pages, seen = answer.asked_at, [answer.result], {""}
    while (position := next_cursor(answer.result)) not in (None, "", "0"):
        if position in seen or len(pages) == MAX_PAGES:
            raise BybitError(MALFORMED, f"the pages of {path} do not end")
        seen.add(position)
        client.pause(PAUSE_SECONDS)
        answer = client.get(path, {**params, cursor: position}, page, account)
        pages.append(answer.result)
    return replace(answer.with_result(pages), asked_at=asked_at)
