"""The tables of docs/scaling.md, computed from a few figures."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path

from bybit_exporter.config import ApiConfig
from bybit_exporter.config.exporter_config import DEFAULT_PRICES_INTERVAL_SECONDS
from bybit_exporter.polling.jobs import api_key, risk_frozen
from bybit_exporter.polling.jobs.job import MIN_INTERVAL_SECONDS
from tools.documents import Tables, table

SCALING = Path(__file__).parent.parent / "docs" / "scaling.md"

ADDRESS_PER_SECOND = 80.0
"""The planned rate of requests of one address. The exchange allows 120; the exporter sends at most 100."""

PROCESS_ACCOUNTS = 1000
CPU_SECONDS = 0.003
"""For a poll, as measured: see docs/performance.md."""

ACCOUNTS = (1_000, 10_000, 100_000)
INTERVALS = (10, 30, 60)


def per_account(interval: float, *, fund: bool = False) -> float:
    """Requests a second for one account: wallet, key, and a FUND account's withdrawals and funds held back."""
    of_fund = 1 / max(MIN_INTERVAL_SECONDS, interval) + 1 / max(risk_frozen.INTERVAL_SECONDS, interval)
    return 1 / interval + 1 / api_key.CHECK_INTERVAL_SECONDS + (of_fund if fund else 0)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many processes and addresses some accounts need."""

    accounts: int
    interval: int
    fund: bool = False

    @property
    def _processes(self) -> int:
        return math.ceil(self.accounts / PROCESS_ACCOUNTS)

    @property
    def addresses(self) -> int:
        """The smallest number of addresses of which each sends at most the planned rate."""
        return next(count for count in itertools.count(1) if self._per_second(count) <= ADDRESS_PER_SECOND * count)

    def _shards(self, addresses: int) -> int:
        return addresses * math.ceil(self._processes / addresses)

    def _per_second(self, addresses: int) -> float:
        asked = self.accounts * per_account(self.interval, fund=self.fund)
        return asked + self._shards(addresses) / DEFAULT_PRICES_INTERVAL_SECONDS

    @property
    def shards(self) -> int:
        """The same number for each address, so that the shards of an address can share its limit evenly."""
        return self._shards(self.addresses)

    @property
    def shards_per_address(self) -> int:
        return self.shards // self.addresses

    @property
    def max_requests_per_second(self) -> float:
        return ApiConfig().max_requests_per_second / self.shards_per_address

    @property
    def per_second(self) -> float:
        """Requests of all shards."""
        return self._per_second(self.addresses)

    @property
    def fullest(self) -> int:
        """Accounts of the largest shard: three standard deviations above the mean."""
        mean = self.accounts / self.shards
        return math.ceil(mean + (3 * math.sqrt(mean) if self.shards > 1 else 0))

    @property
    def fullest_per_second(self) -> float:
        return self.fullest * per_account(self.interval, fund=self.fund) + 1 / DEFAULT_PRICES_INTERVAL_SECONDS

    @property
    def ready_seconds(self) -> float:
        """The first round takes half of the permitted rate."""
        return self.fullest / (self.max_requests_per_second / 2)


PLANS = [Plan(accounts, interval) for accounts in ACCOUNTS for interval in INTERVALS]


def plan() -> str:
    """Shards and addresses for each number of accounts at each interval."""
    head = ("accounts", "every", "requests/s", "addresses", "if all are FUND", "shards", "`max_requests_per_second`")
    rows = [
        (
            f"{each.accounts:,}",
            f"{each.interval} s",
            f"{each.per_second:,.0f}",
            str(each.addresses),
            str(Plan(each.accounts, each.interval, fund=True).addresses),
            f"{each.shards}" + (f" ({each.shards_per_address} each)" if each.shards_per_address > 1 else ""),
            f"{math.floor(each.max_requests_per_second)}",
        )
        for each in PLANS
    ]
    return table(head, rows)


def shard() -> str:
    """Load and start time of the largest shard of each plan."""
    head = ("accounts", "every", "accounts of the fullest shard", "its requests/s", "its CPU", "ready after")
    rows = [
        (
            f"{each.accounts:,}",
            f"{each.interval} s",
            f"{each.fullest:,}",
            f"{each.fullest_per_second:.0f}",
            f"{100 * CPU_SECONDS * each.fullest_per_second:.0f} % of a core",
            f"{each.ready_seconds:.0f} s",
        )
        for each in PLANS
    ]
    return table(head, rows)


TABLES: Tables = {SCALING: {"plan": plan, "shard": shard}}
