"""``python -m bench.soak``: many polls of an exchange that fails at random, under concurrent scrapes.

The exchange is a separate process. Each of its answers contains the number of the answer, and keyed hashes of that
number, the account and the coin. So each scrape can be checked: every figure was served by the exchange, for this
account, and in the same answer as the others. Ends with status 1 if a figure was not served, if figures become older,
or if memory, threads or descriptors have grown.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import hmac
import multiprocessing
import os
import re
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from bybit_exporter import log
from bybit_exporter.config import ApiConfig, Config
from bybit_exporter.model import Account, AccountType, Secret
from bybit_exporter.sandbox import UNLIMITED, Exchange, FundingHolding, Holding, SandboxServer, UnifiedHolding, faults
from bybit_exporter.sandbox import Account as Held
from bybit_exporter.sandbox.messages import Fault, Response, Wire
from bybit_exporter.service import Service

PROOF = os.urandom(16)
COINS = ("BTC", "ETH", "SOL", "XRP", "USDT")
INTERVAL = 0.05
TIMEOUT = 0.5
RELOAD_SECONDS, OFTEN_SECONDS = 2.0, 0.2
"""Reloads end the long delays after some refusals. They are more frequent while all refusals are equally likely."""

GROWTH = 0.05
"""How much memory, objects and threads may grow between the first and the last tenth."""

SPARE = 3
"""Descriptors that are open only while this process measures itself."""

FAULTS: tuple[tuple[float, Fault], ...] = (
    (0.02, faults.Reset()),
    (0.02, faults.Cut()),
    (0.02, faults.Status(502, b"<html>bad gateway</html>")),
    (0.01, faults.RetCode(10016)),
    (0.01, faults.RetCode(10001)),
    (0.01, faults.RetCode(10002)),
    (0.01, faults.RetCode(10027)),
    (0.01, faults.TooManyVisits("1")),
    (0.01, faults.Body(b'{"retCode":0,"result":{"spot":')),
    (0.01, faults.Mutate(lambda envelope: envelope["result"]["spot"]["assets"][1].update(free="NaN"))),
    (0.01, faults.Mutate(lambda envelope: envelope["result"]["spot"].pop("status"))),
    (0.01, faults.Mutate(lambda envelope: envelope.update(time=0))),
    (0.01, faults.Delay(0.05)),
    (0.002, faults.Hang()),
    (0.002, faults.Drip(0.05)),
    (0.001, faults.Flood(8)),
    (0.001, faults.Bomb(64)),
    (0.001, faults.nested()),
    (0.001, faults.RetCode(10003)),
    (0.0001, faults.access_too_frequent()),
)


class AtRandom:
    """Plays faults at random: with equal probability at first, later by their shares."""

    def __init__(self, seed: int) -> None:
        self.evenly = True
        self._random = Random(seed)  # noqa: S311
        self._faults = [*(fault for _, fault in FAULTS), None]
        self._shares = [share for share, _ in FAULTS]
        self._shares.append(1 - sum(self._shares))

    def play(self, wire: Wire, response: Response) -> None:
        fault = self._random.choices(self._faults, None if self.evenly else self._shares)[0]
        if fault is not None:
            with suppress(LookupError, TypeError):  # a refusal has no assets to falsify
                fault.play(wire, response)
                return
        wire.respond(response)


def figure(number: int, account: str, coin: str) -> str:
    """The keyed hash for this coin in this answer, as an amount of at most 15 digits."""
    digest = hmac.digest(PROOF, f"{number}/{account}/{coin}".encode(), hashlib.sha256)
    return f"{int.from_bytes(digest[:5])}.{int.from_bytes(digest[5:6]):03d}"


def holdings(number: int, account: str) -> dict[str, Holding]:
    """The account's holdings in the answer of this number."""
    return {
        coin: Holding(f"{number}", figure(number, account, coin), figure(number, account, coin + "/withdraw"))
        for coin in COINS
    }


def hold(held: Held, number: int) -> None:
    """Puts these holdings into the wallets. In unified and funding wallets the total contains the frozen part."""
    held.holdings = holdings(number, held.name)
    whole = {coin: (str(number + Decimal(holding.frozen)), holding) for coin, holding in held.holdings.items()}
    held.unified.rows = {coin: UnifiedHolding(all_, holding.frozen) for coin, (all_, holding) in whole.items()}
    held.funding.rows = {coin: FundingHolding(all_, holding.free) for coin, (all_, holding) in whole.items()}


def account_type(account: str) -> AccountType:
    """The account types in turn, by the number in the name."""
    return (AccountType.SPOT, AccountType.UNIFIED, AccountType.FUND)[int(account.split()[1]) % 3]


def serve(accounts: int, wire: Connection) -> None:
    """The exchange's process."""
    exchange = Exchange(limits=UNLIMITED, history=100)
    exchange.fault = at_random = AtRandom(1)
    for index in range(accounts):
        held = exchange.add_account(f"account {index}")
        held.mode = "classic" if account_type(held.name) is AccountType.SPOT else "unified"
        held.behaviour = _count
    with SandboxServer(exchange) as server:
        keys = [(held.name, held.api_key, held.api_secret) for held in exchange.accounts.values()]
        wire.send((server.base_url, keys))
        wire.recv()
        at_random.evenly = False
        wire.recv()
        exchange.fault = None
        wire.send(exchange.request_count)
        wire.recv()


def _count(held: Held, _: float) -> None:
    hold(held, held.request_count)


def kinds(account: str) -> tuple[str, ...]:
    """The figures that come from one answer. Only spot wallets state withdrawals in it."""
    return ("free", "frozen", "withdrawing") if account_type(account) is AccountType.SPOT else ("free", "frozen")


_SAMPLE = re.compile(
    r'^bybit_asset_(free|frozen|withdrawing)\{account="([^"]+)",[^}]*coin="([A-Z]+)"\} (\S+)$', re.MULTILINE
)


@dataclass
class Scraper:
    """Scrapes without a pause, and checks everything it reads."""

    service: Service
    openmetrics: bool
    scrapes: int = 0
    checked: int = 0
    wrong: list[str] = field(default_factory=list)
    _latest: dict[str, int] = field(default_factory=dict)

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(0.05):
            text = self.service.store.exposition(openmetrics=self.openmetrics).decode()
            self.scrapes += 1
            self._check(text)

    def _check(self, text: str) -> None:
        read: dict[str, dict[tuple[str, str], float]] = {}
        for kind, account, coin, value in _SAMPLE.findall(text):
            if kind in kinds(account):
                read.setdefault(account, {})[kind, coin] = float(value)
        for account, values in read.items():
            number = int(values["free", COINS[0]])
            expected = {
                (kind, coin): float(amount)
                for coin, holding in holdings(number, account).items()
                for kind, amount in (
                    ("free", holding.free),
                    ("frozen", holding.frozen),
                    ("withdrawing", holding.withdraw),
                )
                if kind in kinds(account)
            }
            self.checked += len(values)
            if values != expected:
                self.wrong.append(f"{account}: {values} was never served")
            if number < self._latest.get(account, 0):
                self.wrong.append(f"{account}: went back from answer {self._latest[account]} to {number}")
            self._latest[account] = number


@dataclass(frozen=True)
class Size:
    """The size of this process after this number of polls. Blocks are those of Python's allocator: its objects."""

    polls: int
    resident: int
    blocks: int
    threads: int
    descriptors: int


def size_after(polls: int) -> Size:
    """The size now, without free memory that the allocator keeps: that depends on the largest peak."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    threads, descriptors = (len(list(Path(f"/proc/self/{what}").iterdir())) for what in ("task", "fd"))
    return Size(polls, pages * os.sysconf("SC_PAGE_SIZE"), sys.getallocatedblocks(), threads, descriptors)


@contextmanager
def exchange_process(accounts: int) -> Iterator[tuple[str, list[tuple[str, str, str]], Connection]]:
    """Yields the base URL, the names with keys and secrets, and a pipe. Each message on it ends a phase of `serve`."""
    ours, its = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(target=serve, args=(accounts, its), daemon=True)
    process.start()
    base_url, keys = ours.recv()
    try:
        yield base_url, keys, ours
    finally:
        ours.send(None)
        process.join(10)


def service_for(base_url: str, keys: list[tuple[str, str, str]]) -> Service:
    """The exporter, with intervals shorter than the configuration file allows."""
    accounts = tuple(
        Account(name, account_type(name), None, Secret(key), Secret(secret), INTERVAL, 1.0)
        for name, key, secret in keys
    )
    api = ApiConfig(base_url=base_url, timeout_seconds=TIMEOUT, max_requests_per_second=1e6)
    return Service(Config(api, accounts), lambda: Config(api, accounts))


def polls_of(service: Service) -> int:
    """The number of polls that have ended."""
    return sum(state.polls for state in service.store.accounts())


def soak(polls: int, accounts: int) -> bool:
    """Runs the soak and prints its figures. Returns whether all conditions held."""
    with exchange_process(accounts) as (base_url, keys, wire):
        service = service_for(base_url, keys)
        scrapers = [Scraper(service, False), Scraper(service, True)]
        stop = threading.Event()
        threads = [threading.Thread(target=scraper.run, args=(stop,)) for scraper in scrapers]
        start = size_after(0)
        service.start()
        for thread in threads:
            thread.start()
        # The stack of each thread keeps the size that the deepest answer needs. So all faults are frequent at first.
        watch(service, polls // 10, OFTEN_SECONDS)
        wire.send(None)
        started = time.monotonic()
        sizes = watch(service, polls)
        stop.set()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - started
        wire.send(None)
        requests = wire.recv()
        recovered = all_up(service)
        service.stop()
        return report(service, start, sizes, scrapers, seconds, requests) and recovered


def watch(service: Service, polls: int, reload_seconds: float = RELOAD_SECONDS) -> list[Size]:
    """Measures, and reloads regularly, until this number of further polls have ended."""
    sizes, reload_at, before = [], time.monotonic() + reload_seconds, polls_of(service)
    while (done := polls_of(service) - before) < polls:
        sizes.append(size_after(done))
        time.sleep(min(reload_seconds, 1.0))
        if time.monotonic() >= reload_at:
            service.reload()
            reload_at = time.monotonic() + reload_seconds
    return sizes


def all_up(service: Service) -> bool:
    """Whether all accounts are up within 10 s after the faults have ended."""
    service.reload()
    deadline = time.monotonic() + 10
    while not all(state.up for state in service.store.accounts()):
        if time.monotonic() > deadline:
            print("not every account is up again")
            return False
        time.sleep(0.05)
    return True


def report(
    service: Service, start: Size, sizes: list[Size], scrapers: list[Scraper], seconds: float, requests: int
) -> bool:
    """Prints all figures. Returns whether they are within their limits."""
    done = sizes[-1].polls
    first = [size for size in sizes if size.polls < done * 0.1]
    last = [size for size in sizes if size.polls >= done * 0.9]
    resident = [statistics.mean(size.resident for size in tenth) / 1e6 for tenth in (first, last)]
    blocks = [statistics.mean(size.blocks for size in tenth) for tenth in (first, last)]
    failures = sum(sum(state.failures.values()) for state in service.store.accounts())
    print(f"{done} polls in {seconds:.0f} s; with those before, {requests} requests and {failures} failed polls")
    print(f"{sum(s.scrapes for s in scrapers)} scrapes, {sum(s.checked for s in scrapers)} figures checked")
    threads = [max(size.threads for size in tenth) for tenth in (first, last)]
    held = True
    for name, tenths in (("MB of memory", resident), ("blocks", blocks), ("threads at most", threads)):
        growth = tenths[1] / tenths[0] - 1
        print(f"{name}: {tenths[0]:.0f} in the first tenth, {tenths[1]:.0f} in the last: {growth:+.1%}")
        held = held and abs(growth) <= GROWTH
    most, limit = max(size.descriptors for size in sizes), start.descriptors + threads[0] - start.threads + SPARE
    print(f"descriptors: {start.descriptors} at the start, at most {most}; one for each thread more would be {limit}")
    held = held and most <= limit
    wrong = [sentence for scraper in scrapers for sentence in scraper.wrong]
    print(*wrong[:10], f"{len(wrong)} figures were wrong", sep="\n")
    return held and not wrong


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--polls", type=int, default=200_000)
    parser.add_argument("--accounts", type=int, default=50)
    options = parser.parse_args()
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        log.configure("info", "logfmt")
        held = soak(options.polls, options.accounts)
    print("all conditions held" if held else "FAILED")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
