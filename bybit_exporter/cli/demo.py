"""The configuration of the demo: accounts of an exchange that runs within the exporter."""

from __future__ import annotations

import contextlib

import structlog

from ..config import ApiConfig, Config
from ..model import STALE_AFTER_INTERVALS, Account, AccountType, Secret

POLL_INTERVAL_SECONDS = 5.0

_log = structlog.get_logger()


def start_demo(cleanup: contextlib.ExitStack) -> Config:
    """Starts the embedded exchange, which ``cleanup`` stops. Returns the configuration of its accounts."""
    from ..sandbox import SandboxServer
    from ..sandbox.demo import configuration_of, demo_exchange

    _log.warning("DEMO: every figure is invented; the exporter polls an embedded exchange, not Bybit")
    exchange = demo_exchange()
    server = cleanup.enter_context(SandboxServer(exchange))
    accounts = tuple(
        Account(
            name=account["name"],
            account_type=AccountType(account["account_type"]),
            coins=None,
            api_key=Secret(account["api_key"]),
            api_secret=Secret(account["api_secret"]),
            poll_interval_seconds=POLL_INTERVAL_SECONDS,
            stale_after_seconds=STALE_AFTER_INTERVALS * POLL_INTERVAL_SECONDS,
            subaccounts="subaccounts" in account,
            subaccount_balances="subaccounts" in account,
            products="products" in account,
        )
        for account in configuration_of(exchange)
    )
    return Config(ApiConfig(base_url=server.base_url), accounts)
