"""The one state that threads share: what is known of each account, ready to be scraped.

An account's lines are rendered once, when its poll ends, and published by replacing one reference. A
scrape writes each family's header and joins the stored bytes. It takes no lock, and everything it shows of
an account is of one poll. What has expired by then is left out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from . import clock
from .history import History
from .metrics import ACCOUNT_FAMILIES, EXPORTER_FAMILIES, render_account, render_exporter
from .model import Account, AccountState, ExporterState, PollResult


class _Published:
    """An account's state and its rendered lines; what remains of them later is rendered when asked for."""

    def __init__(self, state: AccountState) -> None:
        self.state = state
        self._rendered = render_account(state), state.valid_until

    def lines(self, now: float) -> tuple[bytes, ...]:
        lines, valid_until = self._rendered
        if now >= valid_until:
            lines, _ = self._rendered = _Published(self.state.as_of(now))._rendered
        return lines


class Store:
    """The latest state of every account and of the exporter, and the last hour of the balances."""

    def __init__(self, exporter: ExporterState, now: Callable[[], float] = clock.now) -> None:
        self.now = now
        self.history = History()
        self._exporter = exporter
        self._accounts: dict[str, _Published] = {}
        self._writing = threading.Lock()
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    def replace_accounts(self, accounts: Iterable[Account], *, keep: bool = True) -> None:
        """Shows exactly these accounts from now on; series of others end.

        What is known of an account that is configured as it was stays, unless ``keep`` is false.
        """
        with self._writing:
            known = self._accounts if keep else {}
            self._accounts = {account.name: self._kept(known, account) for account in accounts}
            self.history.keep(published.state.account for published in self._accounts.values() if published.state.polls)

    @staticmethod
    def _kept(known: Mapping[str, _Published], account: Account) -> _Published:
        published = known.get(account.name)
        if published is not None and published.state.account == account:
            return published
        return _Published(AccountState(account))

    def record(self, account: Account, result: PollResult, next_poll_timestamp: float) -> None:
        """Takes in how a poll ended, and when the account is asked next (Unix time).

        The result of a poll that a reload has overtaken is dropped.
        """
        with self._writing:
            if self._update(
                account, lambda state: replace(state.after(result), next_poll_timestamp=next_poll_timestamp)
            ):
                self.history.record(account, result)

    def reschedule(self, account: Account, next_poll_timestamp: float) -> None:
        """Takes in that an account is asked next at another time (Unix time)."""
        with self._writing:
            self._update(account, lambda state: replace(state, next_poll_timestamp=next_poll_timestamp))

    def _update(self, account: Account, change: Callable[[AccountState], AccountState]) -> bool:
        """Publishes the changed state, unless a reload has taken the account out: then returns False."""
        published = self._accounts.get(account.name)
        if published is None or published.state.account is not account:
            return False
        self._accounts[account.name] = _Published(change(published.state))
        return True

    def update_exporter(self, **changes: Any) -> None:
        """Takes in a change of fields of `ExporterState`."""
        with self._writing:
            self._exporter = replace(self._exporter, **changes)

    def accounts(self) -> list[AccountState]:
        """What may be shown of each account now, in the order of the configuration."""
        now = self.now()
        return [published.state.as_of(now) for published in list(self._accounts.values())]

    @property
    def ready(self) -> bool:
        """Whether every account has been polled once."""
        return all(published.state.polls for published in list(self._accounts.values()))

    def exposition(self, *, openmetrics: bool = False) -> bytes:
        """Everything, in the Prometheus text format or in OpenMetrics."""
        now = self.now()
        accounts = [published.lines(now) for published in list(self._accounts.values())]
        parts = []
        for family, *lines in zip(ACCOUNT_FAMILIES, *accounts, strict=True):
            parts += [family.header(openmetrics=openmetrics), *lines]
        for exporter_family in EXPORTER_FAMILIES:
            parts += [
                exporter_family.header(openmetrics=openmetrics),
                render_exporter(exporter_family, self._exporter),
            ]
        process = generate_openmetrics if openmetrics else generate_latest
        parts.append(process(self._process))
        return b"".join(parts)
