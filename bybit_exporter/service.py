"""Connects the parts: polls what the configuration says, and keeps the results in the store."""

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
from .polling.jobs import create_jobs
from .polling.poller import Poller
from .polling.transition_log import TransitionLog
from .polling.worker_pool import MAX_WORKERS
from .sharding import SINGLE_SHARD, Shard

STOP_SECONDS = 0.5

BEFORE_EXPIRY = -math.inf
"""A time before every expiry. With `--once`, the first results may expire before the last account is read."""

_log = structlog.get_logger()


class Service:
    """Polls what the configuration says, and changes to a new configuration on request."""

    def __init__(self, config: Config, load: Callable[[], Config], shard: Shard = SINGLE_SHARD) -> None:
        self.store = Store(ExporterState(True, clock.wall(), shard=shard.number, total_shards=shard.total))
        self._load = load
        self._transition_log = TransitionLog()
        self._poller = Poller(self.store, self._transition_log)
        self._reloading = threading.Lock()
        self._apply(config, self._connect(config.api), keep=True)

    def start(self) -> None:
        self._poller.workers.start()

    def poll_once(self) -> bool:
        """Polls each account and reads everything else one time. Returns whether all accounts could be polled."""
        self._poller.workers.run_once(self._jobs)
        while unread := [job for job in self._jobs if job.has_unread]:
            self._poller.workers.run_once(unread)
            time.sleep(PAUSE_SECONDS)
        return all(state.up for state in self.store.accounts(now=BEFORE_EXPIRY))

    def stop(self) -> None:
        self._poller.workers.stop(STOP_SECONDS)

    def reload(self) -> None:
        """Reads and checks the configuration, then applies it and ends all delays. One reload at a time.

        Raises:
            ConfigError: and nothing has changed.
        """
        with self._reloading:
            try:
                config = self._load()
                self._swap(config)
            except Exception as error:
                fault = f"{type(error).__name__} in the exporter"
                problems = error.problems if isinstance(error, ConfigError) else [fault]
                self.store.update_exporter(config_reload_successful=False)
                message = "the configuration was not reloaded; the old one is still in use"
                _log.error(message, error="; ".join(problems), exc_info=not isinstance(error, ConfigError))
                raise ConfigError(problems) from error
            self.store.update_exporter(config_reload_successful=True, config_reload_success_timestamp=clock.wall())
            _log.info("configuration reloaded", accounts=len(config.accounts))

    def _swap(self, config: Config) -> None:
        old_client, same_exchange = self._client, config.api.base_url == self._config.api.base_url
        client = old_client if config.api == self._config.api else self._connect(config.api)
        if client is not old_client:
            client.rate_limiter.acquire()  # the old client may just have sent a request
        self._apply(config, client, keep=same_exchange)
        if client is not old_client:
            old_client.close()
        self._poller.release()

    def _apply(self, config: Config, client: Client, *, keep: bool) -> None:
        """``keep``: unchanged accounts keep their state, and their jobs keep their times."""
        jobs = create_jobs(config.accounts, config.prices_interval_seconds)
        self._transition_log.retain(config.accounts, keep=keep)
        self.store.replace_accounts(config.accounts, keep=keep, prices=config.prices_interval_seconds is not None)
        self._poller.replace(client, jobs, keep=keep)
        self._config, self._client, self._jobs = config, client, jobs

    def _connect(self, api: ApiConfig) -> Client:
        transport = Transport(
            api.base_url,
            timeout_seconds=api.timeout_seconds,
            connections=MAX_WORKERS,
            source_address=api.source_address,
        )
        return Client(
            transport,
            ServerClock(api.recv_window_seconds),
            RateLimiter(api.max_requests_per_second),
            recv_window_seconds=api.recv_window_seconds,
            observe_request=self.store.request_durations.observe,
        )
