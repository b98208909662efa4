"""``python -m bench.simulation``: four shards share 5,000 accounts, against an exchange that limits each address.

Everything except the network is as in production. Each shard is its own process, with the whole configuration and its
own loopback address. The exchange is another process, and enforces the limit of 600 requests in 5 s for each address.
Each shard is scraped every 15 s. The exchange records which shard asked for which account, and when. Ends with status 1
if an account was refused, missing, late, or asked for by two shards.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import multiprocessing
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, Self

import requests

from bybit_exporter.sandbox import Exchange, Holding, SandboxServer
from bybit_exporter.sandbox.limits import Limits, RateLimit
from bybit_exporter.sandbox.messages import Request, Response

ROOT = Path(__file__).parent.parent
SCRAPE_SECONDS = 15.0
LIMIT = RateLimit(600, 5.0)
"""https://bybit-exchange.github.io/docs/v5/rate-limit"""

WALLET = "/v5/asset/transfer/query-asset-info"
"""The path of polls. Other paths are those of keys and prices."""

HOLDINGS = {f"COIN{number}": Holding("1.5", "0.5") for number in range(5)}


class Asked(NamedTuple):
    """A request that the exchange has received. ``at`` is Unix time."""

    at: float
    path: str
    account: str | None
    source: str
    refused: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated. ``rounds`` are intervals of the accounts, counted from when all shards are ready."""

    accounts: int = 5000
    interval_seconds: int = 60
    shards: int = 4
    rounds: int = 3
    limit: RateLimit = LIMIT
    addresses: bool = True
    """Whether each shard has its own address."""
    ready_within_seconds: float = 180.0
    """The maximum time until all shards are ready."""

    @property
    def names(self) -> Sequence[str]:
        return [f"account-{number}" for number in range(self.accounts)]

    def source_address(self, shard: int) -> str:
        return f"127.0.0.{2 + shard}" if self.addresses else "127.0.0.2"

    def configuration(self, shard: int, base_url: str) -> str:
        """The configuration of a shard. Only the address differs between shards."""
        source = self.source_address(shard)
        top = f"poll_interval: {self.interval_seconds}s\napi: {{base_url: '{base_url}', source_address: {source}}}\n"
        accounts = (
            f"- {{name: {name}, account_type: SPOT, api_key: key-{name}, api_secret: secret-{name}}}\n"
            for name in self.names
        )
        return top + "accounts:\n" + "".join(accounts)


@dataclass(slots=True)
class Result:
    """The result: the exchange's record, and the last scrape of each shard."""

    plan: Plan
    ready_seconds: float | None
    end: float
    asked: Sequence[Asked]
    samples: Sequence[Mapping[str, float]]
    """The last scrape of each shard."""

    by_account: dict[str, list[Asked]] = field(init=False)
    """The polls of each account; ``keys`` are the requests for its key."""
    keys: dict[str, list[Asked]] = field(init=False)

    def __post_init__(self) -> None:
        self.by_account = {name: [] for name in self.plan.names}
        self.keys = {name: [] for name in self.plan.names}
        for asked in self.asked:
            if asked.account is not None:
                (self.by_account if asked.path == WALLET else self.keys)[asked.account].append(asked)

    @property
    def refused(self) -> int:
        return sum(asked.refused for asked in self.asked)

    @property
    def never_asked(self) -> list[str]:
        return [name for name, asked in self.by_account.items() if not asked]

    @property
    def asked_by_several(self) -> list[str]:
        everything = ((name, [*asked, *self.keys[name]]) for name, asked in self.by_account.items())
        return [name for name, asked in everything if len({each.source for each in asked}) > 1]

    @property
    def keys_asked_again(self) -> list[str]:
        """Accounts whose key was checked more than once, although the interval is an hour."""
        return [name for name, asked in self.keys.items() if len(asked) > 1]

    def _gaps(self) -> list[float]:
        """The seconds from each request of an account to its next, and from its last to the end."""
        moments = [[*(each.at for each in asked), self.end] for asked in self.by_account.values() if asked]
        return [later - at for each in moments for at, later in itertools.pairwise(each)]

    @property
    def longest_gap(self) -> float:
        """The longest time without a request for an account, in seconds."""
        return max(self._gaps(), default=math.inf)

    @property
    def shortest_gap(self) -> float:
        """The shortest time from one request for an account to the next, in seconds."""
        pairs = itertools.chain.from_iterable(map(itertools.pairwise, self.by_account.values()))
        return min((later.at - earlier.at for earlier, later in pairs), default=math.inf)

    def sizes(self) -> list[int]:
        """How many accounts each shard had."""
        return [sum(name.startswith("bybit_polls_total{") for name in samples) for samples in self.samples]

    def total(self, metric: str) -> float:
        """The sum of a metric over all shards."""
        return sum(value for shard in self.samples for name, value in shard.items() if re.match(rf"{metric}\b", name))

    def busiest(self, *sources: str) -> int:
        """The maximum number of requests from these addresses together in any period of the limit."""
        moments = sorted(asked.at for asked in self.asked if asked.source in sources)
        first = most = 0
        for last, at in enumerate(moments):
            while moments[first] <= at - self.plan.limit.seconds:
                first += 1
            most = max(most, last - first + 1)
        return most


class Recording(Exchange):
    """An exchange that records every request and whether it was refused."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits=limits, history=0)
        self.asked: list[Asked] = []
        self.observer = self._record

    def _record(self, request: Request, response: Response) -> None:
        refused = response.status != 200 or not response.body.startswith(b'{"retCode":0,')
        account = request.headers.get("x-bapi-api-key", "").removeprefix("key-") or None
        self.asked.append(Asked(time.time(), request.path, account, request.source, refused))


def _serve(parent: Connection, plan: Plan) -> None:
    """The exchange's process. Sends its base URL; after the next message, sends its record and ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    exchange = Recording(Limits(ip=plan.limit))
    for name in plan.names:
        exchange.add_account(name, HOLDINGS, api_key=f"key-{name}", api_secret=f"secret-{name}")
    with SandboxServer(exchange) as server:
        parent.send(server.base_url)
        parent.recv()
        parent.send(exchange.asked)


@contextmanager
def running_exchange(plan: Plan) -> Iterator[tuple[str, Callable[[], list[Asked]]]]:
    """Yields the base URL of the exchange, and a function that ends it and returns its record."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, plan))
    process.start()

    def finish() -> list[Asked]:
        ours.send("end")
        record: list[Asked] = ours.recv()
        process.join()
        return record

    try:
        yield ours.recv(), finish
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()
        theirs.close()


class ShardProcess:
    """An exporter that polls its share."""

    def __init__(self, plan: Plan, shard: int, base_url: str, directory: Path) -> None:
        config = directory / f"config-{shard}.yaml"
        config.touch(0o600)
        config.write_text(plan.configuration(shard, base_url))
        self._flags = [f"--config.file={config}", f"--shard={shard}", f"--total-shards={plan.shards}"]
        self._flags += ["--web.listen-address=127.0.0.1:0", "--log.format=json"]
        self.log = directory / f"log-{shard}"
        self._url = ""

    def __enter__(self) -> Self:
        with self.log.open("w") as log:
            command = [sys.executable, str(ROOT / "exporter.py"), *self._flags]
            self._process = subprocess.Popen(command, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def ready(self) -> bool:
        """Whether the shard has polled all of its accounts."""
        if self._process.poll() is not None:
            raise RuntimeError(f"a shard has ended:\n{self.log.read_text()}")
        if not self._url:
            events = (json.loads(line) for line in self.log.read_text().splitlines())
            self._url = next((event["url"] for event in events if event["msg"] == "listening"), "")
        return bool(self._url) and requests.get(f"{self._url}-/ready", timeout=10).status_code == 200

    def scrape(self) -> dict[str, float]:
        """Every sample by its name and labels."""
        text = requests.get(f"{self._url}metrics", timeout=10).text
        samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        if self._process.wait(10) != 0:
            raise RuntimeError(f"a shard did not end well:\n{self.log.read_text()}")


def simulate(plan: Plan) -> Result:
    """Runs the simulation. Takes one round more than the plan has."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        base_url, finish = stack.enter_context(running_exchange(plan))
        started = time.time()
        shards = [stack.enter_context(ShardProcess(plan, shard, base_url, directory)) for shard in range(plan.shards)]
        ready = _wait_for(shards, plan.ready_within_seconds)
        begin = time.time()
        end = begin + plan.rounds * plan.interval_seconds
        while (left := end - time.time()) > 0:
            time.sleep(min(left, SCRAPE_SECONDS))
            samples = [shard.scrape() for shard in shards]
        for shard in shards:
            shard.stop()
        return Result(plan, begin - started if ready else None, end, finish(), samples)


def _wait_for(shards: Iterable[ShardProcess], timeout_seconds: float) -> bool:
    """Waits until all shards are ready. Returns False if they are not ready in time."""
    deadline = time.monotonic() + timeout_seconds
    while [shard for shard in shards if not shard.ready()]:  # a list, so that every shard is checked
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def problems(result: Result) -> list[str]:
    """Returns a sentence for each condition that does not hold."""
    plan, failures = result.plan, result.total("bybit_poll_failures_total")
    exposed, sources = sum(result.sizes()), len({asked.source for asked in result.asked})
    checks = {
        "not all shards became ready": result.ready_seconds is not None,
        f"{result.refused} requests were refused": result.refused == 0,
        f"{failures:g} polls failed": failures == 0,
        f"{len(result.never_asked)} accounts were never asked": not result.never_asked,
        f"{len(result.asked_by_several)} accounts were asked by several shards": not result.asked_by_several,
        f"{len(result.keys_asked_again)} keys were asked for more than once": not result.keys_asked_again,
        f"the shards expose {exposed} accounts": exposed == plan.accounts,
        f"requests came from {sources} addresses": sources == (plan.shards if plan.addresses else 1),
        f"an account was not asked for {result.longest_gap:.1f} s": result.longest_gap < 1.5 * plan.interval_seconds,
        f"an account was asked after {result.shortest_gap:.1f} s": result.shortest_gap > 0.5 * plan.interval_seconds,
    }
    return [problem for problem, holds in checks.items() if not holds]


def report(result: Result) -> str:
    """Formats the measured figures."""
    plan, polls = result.plan, result.total("bybit_polls_total")
    sources = [plan.source_address(shard) for shard in range(plan.shards)]
    busiest = f"{[result.busiest(source) for source in sources]}, of all {result.busiest(*sources)}"
    memory = [round(samples["process_resident_memory_bytes"] / 1e6) for samples in result.samples]
    rows = {
        "accounts of each shard": f"{result.sizes()}, {plan.accounts} in all, every {plan.interval_seconds} s",
        "ready after": f"{result.ready_seconds or math.inf:.1f} s",
        "requests": f"{len(result.asked)}: {polls:.0f} polls, {sum(map(len, result.keys.values()))} keys, and prices",
        "refused; failed": f"{result.refused}; {result.total('bybit_poll_failures_total'):.0f}",
        "never asked; asked by several": f"{len(result.never_asked)}; {len(result.asked_by_several)}",
        "from one request to the next": f"{result.shortest_gap:.2f} s to {result.longest_gap:.2f} s",
        f"most requests in {plan.limit.seconds:g} s": busiest,
        "CPU for a poll, start included": f"{result.total('process_cpu_seconds_total') / polls * 1000:.2f} ms",
        "memory of each shard": f"{memory} MB",
    }
    return "\n".join(f"{name:32}{value}" for name, value in rows.items())


def main() -> int:
    """Takes about four minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=5000)
    parser.add_argument("--interval", type=int, default=60)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one-address", action="store_true", help="all shards behind one: too many for the limit")
    options = parser.parse_args()
    plan = Plan(options.accounts, options.interval, options.shards, options.rounds, addresses=not options.one_address)
    result = simulate(plan)
    print(report(result))
    for problem in problems(result):
        print(problem)
    return 1 if problems(result) else 0


if __name__ == "__main__":
    sys.exit(main())
