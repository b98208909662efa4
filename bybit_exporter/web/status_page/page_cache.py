"""Keeps rendered pages for a few seconds, so that visitors do not slow down polls and scrapes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ... import clock
from .query import Query

MAX_PAGES = 8
"""Maximum number of pages that are kept. Each has up to half a megabyte."""

MAX_SECONDS = 5.0
"""No page is kept longer: browsers request the page again after this time."""

SECONDS_PER_CPU_SECOND = 50.0
"""A page is kept for this multiple of the CPU time of its rendering, so cheap pages are kept only briefly."""


_NO_AGE = 'data-age="0"'


@dataclass(frozen=True, slots=True)
class Page:
    """A rendered page, and until when (staleness clock) everything on it is current."""

    html: str
    valid_until: float
    generation: int = 0
    """`Store.generation` when the rendering began."""

    def at_age(self, seconds: float) -> str:
        """Returns the page with its age, from which its script knows when figures expire."""
        return self.html.replace(_NO_AGE, f'data-age="{seconds:.1f}"', 1)


@dataclass(frozen=True, slots=True)
class _Kept:
    page: Page
    rendered_at: float
    expires_at: float


class PageCache:
    """The latest page for each of a few queries. Not for use by several threads at once."""

    def __init__(
        self,
        render: Callable[[Query], Page],
        store_now: Callable[[], float],
        store_generation: Callable[[], int] = lambda: 0,
        *,
        now: Callable[[], float] = clock.now,
        cpu_now: Callable[[], float] = time.thread_time,
    ) -> None:
        """``store_now``: the clock by which figures expire. ``store_generation``: changes with the accounts.

        ``now``, ``cpu_now``: for age and cost of a page.
        """
        self._render = render
        self._store_now = store_now
        self._store_generation = store_generation
        self._now = now
        self._cpu_now = cpu_now
        self._pages: dict[Query, _Kept] = {}

    def get(self, query: Query) -> str:
        """Returns the page for a query. A kept page is only sent again as long as all its figures are current."""
        kept = self._pages.pop(query, None)
        now = self._now()
        if (
            kept is None
            or now >= kept.expires_at
            or self._store_now() >= kept.page.valid_until
            or self._store_generation() != kept.page.generation
        ):
            began = self._cpu_now()
            page = self._render(query)
            cpu_seconds = self._cpu_now() - began
            kept = _Kept(page, now, now + min(MAX_SECONDS, cpu_seconds * SECONDS_PER_CPU_SECOND))
        self._pages[query] = kept
        if len(self._pages) > MAX_PAGES:
            del self._pages[next(iter(self._pages))]
        return kept.page.at_age(max(0.0, self._now() - kept.rendered_at))
