"""The parts, wired: from a configuration to a store that is kept current."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import structlog

from . import clock
from .bybit.client import Client
from .bybit.paging import PAUSE_SECONDS
from .bybit.rate_limiter import RateLimiter
from .bybit.server_clock import ServerClock
from .bybit.transport import Transport
from .config import ApiConfig, Config, ConfigError
from .metrics.state import ExporterState
from .metrics.store import Store
from .polling.jobs import Desk, SubaccountBalances, tasks_of
from .polling.poller import MAX_WORKERS, Poller
from .polling.transition_log import TransitionLog
from .sharding import SINGLE_SHARD, Shard

STOP_SECONDS = 0.5

_log = structlog.get_logger()


class Service:
    """Polls what the configuration says, and takes up a new one when told."""

    def __init__(self, config: Config, load: Callable[[], Config], shard: Shard = SINGLE_SHARD) -> None:
        self.store = Store(ExporterState(True, clock.wall(), shard=shard.number, total_shards=shard.total))
        self._load = load
        self._poller = Poller(self.store)
        self._reloading = threading.Lock()
        self._config = config
        self._client = _connect(config.api)
        self._journal = TransitionLog()
        self._take_up(config, keep=True)

    def start(self) -> None:
        self._poller.start()

    def poll_once(self) -> bool:
        """Polls each account one time and reads once what else there is. Returns whether all accounts could be read."""
        self.store.now = lambda: -math.inf  # nothing shall expire while the last account is waited for
        one_by_one = [task for task in self._tasks if isinstance(task, SubaccountBalances)]
        self._poller.run_once([task for task in self._tasks if task not in one_by_one])
        while rest := [task for task in one_by_one if task.has_more]:
            self._poller.run_once(rest)
            time.sleep(PAUSE_SECONDS)
        return all(state.up for state in self.store.accounts())

    def stop(self) -> None:
        self._poller.stop(STOP_SECONDS)

    def reload(self) -> None:
        """Reads and checks everything, then swaps; ends all waits. Two reloads are one after the other.

        Raises:
            ConfigError: and nothing has changed.
        """
        with self._reloading:
            try:
                config = self._read_and_swap()
            except ConfigError as error:
                self.store.update_exporter(config_reload_successful=False)
                _log.error("the configuration was not reloaded; the old one stays", error="; ".join(error.problems))
                raise
            self.store.update_exporter(config_reload_successful=True, config_reload_success_timestamp=clock.wall())
            _log.info("configuration reloaded", accounts=len(config.accounts))

    def _read_and_swap(self) -> Config:
        try:
            config = self._load()
            self._swap(config)
            return config
        except ConfigError:
            raise
        except Exception as fault:
            _log.exception("a fault of the exporter")
            raise ConfigError([f"{type(fault).__name__} in the exporter"]) from fault

    def _swap(self, config: Config) -> None:
        old_api, old_client = self._config.api, self._client
        if config.api != old_api:
            self._client = _connect(config.api)
        self._config = config
        self._take_up(config, keep=config.api.base_url == old_api.base_url)
        self._poller.end_waits()
        if self._client is not old_client:
            old_client.close()

    def _take_up(self, config: Config, *, keep: bool) -> None:
        self._journal.keep(config.accounts)
        prices = config.prices_interval_seconds is not None
        self.store.replace_accounts(config.accounts, keep=keep, prices=prices)
        self._tasks = tasks_of(config.accounts, config.prices_interval_seconds, Desk(self.store, self._journal))
        self._poller.replace(self._client, self._tasks, keep=keep)


def _connect(api: ApiConfig) -> Client:
    return Client(
        Transport(
            api.base_url,
            timeout_seconds=api.timeout_seconds,
            connections=MAX_WORKERS,
            source_address=api.source_address,
        ),
        ServerClock(api.recv_window_seconds),
        RateLimiter(api.max_requests_per_second),
        recv_window_seconds=api.recv_window_seconds,
    )
