"""The exporter's parts in this process, against the embedded exchange: intervals below a second, a clock that jumps."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self

import pytest

from bybit_exporter import clock
from bybit_exporter.config import ApiConfig, Config
from bybit_exporter.model import Account, Secret
from bybit_exporter.sandbox import UNLIMITED, Exchange, Holding, SandboxServer
from bybit_exporter.sandbox import Account as Held
from bybit_exporter.service import Service
from tests.builders import make_account
from tests.exporter_process import Samples, parse, value_of
from tests.support import eventually

HOLDINGS = {"BTC": Holding("1.5", "0.5"), "ETH": Holding("11.53485")}


class JumpingClock:
    """The staleness clock, which goes on as it does, and ``jump`` ahead: nobody waits ten minutes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        boottime = time.CLOCK_BOOTTIME

        def read(which: int) -> float:
            assert which == boottime, "the others stand still while the machine sleeps, or are set by people"
            return time.clock_gettime(which) + self.ahead

        shifted = SimpleNamespace(CLOCK_BOOTTIME=boottime, clock_gettime=read)
        monkeypatch.setattr(clock, "time", shifted)

    def jump(self, seconds: float) -> None:
        self.ahead += seconds


def account_for(held: Held, **changes: Any) -> Account:
    """The configured account that asks for an account of the embedded exchange."""
    given = {"name": held.name, "api_key": Secret(held.api_key), "api_secret": Secret(held.api_secret)}
    return make_account(**{**given, "poll_interval_seconds": 0.2, **changes})


class Serving:
    """A service that polls these accounts of an exchange. ``config`` is what a reload reads."""

    def __init__(
        self, exchange: Exchange, *accounts: Account, api: dict[str, Any] | None = None, prices: float | None = 60.0
    ) -> None:
        self.exchange = exchange
        self.server = SandboxServer(self.exchange)
        self.api = ApiConfig(base_url=self.server.base_url, **{"timeout_seconds": 5.0, **(api or {})})
        self.config = Config(self.api, accounts, prices)
        self.load: Callable[[], Config] = lambda: self.config
        self.service = Service(self.config, lambda: self.load())

    @property
    def main(self) -> Held:
        return next(iter(self.exchange.accounts.values()))

    def __enter__(self) -> Self:
        self.server.start()
        self.service.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()
        self.service.stop()

    def samples(self) -> Samples:
        return parse(self.service.store.exposition().decode())

    def value(self, name: str, **labels: str) -> float | None:
        return value_of(self.samples(), name, **labels)

    def series(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The values of a metric by these of its labels; fails if they do not tell its series apart."""
        found = [(dict(its_labels), value) for (series, its_labels), value in self.samples().items() if series == name]
        values = {tuple(its_labels.get(label, "") for label in labels): value for its_labels, value in found}
        assert len(values) == len(found), f"{name} has more labels than {labels}"
        return values

    def wait_for(self, expected: float | None, name: str, within: float = 10.0, **labels: str) -> None:
        eventually(lambda: self.value(name, **labels) == expected, within)

    def failures(self, reason: str, account: str = "main") -> float:
        return self.value("bybit_poll_failures_total", account=account, reason=reason) or 0.0


class Running(Serving):
    """A service that polls every account of an exchange of its own."""

    def __init__(self, *names: str, api: dict[str, Any] | None = None, **account: Any) -> None:
        exchange = Exchange(limits=UNLIMITED)
        held = [exchange.add_account(name, HOLDINGS) for name in names or ("main",)]
        super().__init__(exchange, *(account_for(each, **account) for each in held), api=api)
