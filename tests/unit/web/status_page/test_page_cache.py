"""Pages that are sent again: how long, and never past the moment at which a figure on them expires."""

from __future__ import annotations

import re

import pytest

from bybit_exporter.web.status_page.page import render
from bybit_exporter.web.status_page.page_cache import MAX_PAGES, MAX_SECONDS, SECONDS_PER_CPU_SECOND, Page, PageCache
from bybit_exporter.web.status_page.query import Query
from tests.browser.site import STALE_AFTER_SECONDS, Site
from tests.support import FakeClock


class Renderer:
    """Counts the pages it renders. Each costs as much CPU time as it is told."""

    def __init__(self) -> None:
        self.clock = FakeClock(1000.0)
        self.cpu = FakeClock(0.0)
        self.cost = 1.0
        self.valid_until = float("inf")
        self.rendered: list[Query] = []
        self.generation = 0
        self.cache = PageCache(self.render, self.clock, lambda: self.generation, now=self.clock, cpu_now=self.cpu)

    def render(self, query: Query) -> Page:
        self.rendered.append(query)
        self.cpu.now += self.cost
        return Page(f'<html data-age="0">{len(self.rendered)} data-age="0"', self.valid_until, self.generation)

    def get(self, text: str = "") -> str:
        return self.cache.get(Query(text))


@pytest.fixture
def renderer() -> Renderer:
    return Renderer()


def test_cache_expensive_page_is_kept_for_its_refresh_with_its_age(renderer: Renderer) -> None:
    assert renderer.get() == '<html data-age="0.0">1 data-age="0"'
    renderer.clock.now += MAX_SECONDS - 0.1
    assert renderer.get() == '<html data-age="4.9">1 data-age="0"'
    renderer.clock.now += 0.1
    assert renderer.get() == '<html data-age="0.0">2 data-age="0"'


def test_cache_cheap_page_is_kept_in_proportion_to_its_cost(renderer: Renderer) -> None:
    renderer.cost = 0.004
    renderer.get()
    renderer.clock.now += 0.004 * SECONDS_PER_CPU_SECOND - 0.01
    renderer.get()
    assert len(renderer.rendered) == 1
    renderer.clock.now += 0.02
    renderer.get()
    assert len(renderer.rendered) == 2


def test_cache_page_of_other_accounts_is_rendered_again(renderer: Renderer) -> None:
    renderer.get()
    renderer.generation += 1
    renderer.get()
    assert len(renderer.rendered) == 2


def test_cache_page_with_expired_figure_is_rendered_again(renderer: Renderer) -> None:
    renderer.valid_until = renderer.clock.now + 1
    renderer.get()
    renderer.clock.now += 0.9
    renderer.get()
    assert len(renderer.rendered) == 1
    renderer.clock.now += 0.1
    renderer.get()
    assert len(renderer.rendered) == 2


def test_cache_other_query_has_its_own_page(renderer: Renderer) -> None:
    renderer.get("a")
    renderer.get("b")
    renderer.get("a")
    assert renderer.rendered == [Query("a"), Query("b")]


def test_cache_many_queries_drop_the_page_that_was_not_requested_for_longest(renderer: Renderer) -> None:
    for number in range(MAX_PAGES):
        renderer.get(f"{number}")
    renderer.get("0")
    renderer.get("one more")
    renderer.get("0")
    assert len(renderer.rendered) == MAX_PAGES + 1
    renderer.get("1")
    assert len(renderer.rendered) == MAX_PAGES + 2


def test_cache_page_that_fails_is_rendered_again(renderer: Renderer) -> None:
    def fail(_: Query) -> Page:
        raise RuntimeError

    cache = PageCache(fail, renderer.clock, now=renderer.clock, cpu_now=renderer.cpu)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            cache.get(Query())


def test_page_with_figures_is_valid_until_the_first_of_them_expires() -> None:
    site = Site("first", "second", "never read")
    site.read("first", {"BTC": "1"})
    expires_at = site.clock.now + STALE_AFTER_SECONDS
    site.clock.now += 10
    site.read("second", {"BTC": "1"})
    assert render(site.store).valid_until == expires_at


def test_page_at_age_with_hostile_account_name_changes_only_its_own_attribute() -> None:
    site = Site('data-age="0"')
    html = render(site.store).at_age(3.21)
    assert re.findall(r'<html[^>]* data-age="([^"]*)"', html) == ["3.2"]
    assert html.count("3.2") == 1
