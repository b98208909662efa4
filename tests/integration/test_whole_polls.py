"""Whole or not at all: balances move, each move keeps free + frozen as it was, and no scrape sees another sum."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from random import Random

import pytest
import requests

from bybit_exporter.sandbox import Account, Holding
from bybit_exporter.web.app import WebOptions, create_app
from bybit_exporter.web.server.listen import bind
from bybit_exporter.web.server.reloader import WebConfigReloader
from bybit_exporter.web.server.server import WebServer
from tests.in_process import Running
from tests.support import eventually

COINS = [f"C{index:02}" for index in range(50)]
TOTAL = 1000
SECONDS = 3.0
SCRAPERS = 2

Split = tuple[float, float]


def move(account: Account, now: float) -> None:
    """Before each answer: another split between free and frozen, the same for every coin."""
    free = Random(now).randrange(TOTAL)
    account.holdings = dict.fromkeys(COINS, Holding(str(free), str(TOTAL - free)))


@contextmanager
def served(running: Running) -> Iterator[str]:
    """The address under which the figures can be scraped."""
    with bind("127.0.0.1", 0) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/metrics"
        app = create_app(running.service.store, WebOptions(), Future)
        web = WebServer(app, [listener], lambda: None, WebConfigReloader(), 256)
        web.start()
        yield address
        web.stop()


def scrape(address: str, until: float) -> list[str]:
    expositions = []
    with requests.Session() as session:
        while time.monotonic() < until:
            expositions.append(session.get(address, timeout=10).text)
    return expositions


def splits(exposition: str) -> set[Split]:
    """Every pair of free and frozen that a scrape shows, over all coins: of one answer there is one."""
    balances = {(name, coin): float(value) for name, coin, value in _BALANCE.findall(exposition)}
    return {(balances["free", coin], balances["frozen", coin]) for coin in COINS}


_BALANCE = re.compile(r'^bybit_asset_(free|frozen)\{.*coin="(\w+)"\} (\S+)$', re.MULTILINE)


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns every few microseconds: who publishes by halves is caught at it."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("eager_threads")
def test_no_scrape_sees_half_of_one_poll_and_half_of_another() -> None:
    with Running(poll_interval_seconds=0.005) as running, served(running) as address:
        running.main.behaviour = move
        eventually(lambda: running.value("bybit_asset_free", coin="C00") is not None, 10)
        until = time.monotonic() + SECONDS
        with ThreadPoolExecutor(SCRAPERS) as pool:
            scrapers = [pool.submit(scrape, address, until) for _ in range(SCRAPERS)]
            expositions = [text for scraper in scrapers for text in scraper.result()]
    seen: set[Split] = set()
    for exposition in expositions:
        (split,) = splits(exposition)
        assert sum(split) == TOTAL
        seen.add(split)
    assert len(expositions) > 50
    assert len(seen) > 20, "the balances did not move under the scrapes"
