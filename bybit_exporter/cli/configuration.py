"""Reads both configuration files, and keeps the accounts of this shard."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

import structlog

from .. import config
from ..config import Config, ConfigError
from ..web.server import web_config
from ..web.server.web_config import WebConfig
from .flags import Options

T = TypeVar("T")

_log = structlog.get_logger()


def load_accounts(options: Options, demo: Config | None) -> Config:
    """Loads the configuration file, unless there is a demo, logs its warnings, and keeps the accounts of this shard.

    Raises:
        ConfigError: with every problem, also of other shards' accounts.
    """
    whole, shard = demo or config.load(options.config_file), options.shard
    _warn(whole.warnings)
    accounts = tuple(account for account in whole.accounts if shard.has(account.name))
    if shard.total > 1:
        counts = {"accounts": len(accounts), "configured": len(whole.accounts)}
        _log.info("this process polls a part of the accounts", shard=shard.number, total_shards=shard.total, **counts)
    return replace(whole, accounts=accounts)


def load_both(options: Options, load: Callable[[], Config]) -> tuple[Config, WebConfig]:
    """Loads the exporter's and the web server's configuration.

    Raises:
        ConfigError: with the problems of both.
    """
    problems: list[str] = []
    configuration = collect_problems(load, problems)
    path = options.web_config_file
    web_configuration = collect_problems(lambda: web_config.load(path) if path is not None else WebConfig(), problems)
    if web_configuration:
        _warn(web_configuration.warnings)
        if options.check_config:
            problems += web_configuration.expiry_problems
        else:  # with an expired certificate, the exporter must run all the same
            _warn(web_configuration.expiry_problems)
    if configuration is None or web_configuration is None or problems:
        raise ConfigError(problems)
    return configuration, web_configuration


def collect_problems(load: Callable[[], T], problems: list[str]) -> T | None:
    """Loads something. If that fails, adds what is wrong to ``problems`` and returns None."""
    try:
        return load()
    except ConfigError as error:
        problems += error.problems
        return None


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        _log.warning(warning)
