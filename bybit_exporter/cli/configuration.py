"""Reads both configuration files, and keeps the accounts of this shard."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import structlog

from .. import config
from ..config import Config, ConfigError
from ..sharding import Shard
from .flags import Options

if TYPE_CHECKING:
    from ..web.server.web_config import WebConfig

T = TypeVar("T")

_log = structlog.get_logger()


def load_config(path: str) -> Config:
    """Reads the configuration file and logs its warnings.

    Raises:
        ConfigError: with every problem.
    """
    configuration = config.load(path)
    _warn(configuration.warnings)
    return configuration


def filter_by_shard(load: Callable[[], Config], shard: Shard) -> Callable[[], Config]:
    """Returns a function that loads the whole configuration, with all its problems, and keeps the shard's accounts."""

    def load_shard() -> Config:
        whole = load()
        accounts = tuple(account for account in whole.accounts if shard.has(account.name))
        if shard.total > 1:
            counts = {"accounts": len(accounts), "configured": len(whole.accounts)}
            _log.info("polls a share of the accounts", shard=shard.number, total_shards=shard.total, **counts)
        return replace(whole, accounts=accounts)

    return load_shard


def load_both(options: Options, load: Callable[[], Config]) -> tuple[Config, WebConfig]:
    """Loads the exporter's and the web server's configuration.

    Raises:
        ConfigError: with the problems of both.
    """
    from ..web.server import web_config

    problems: list[str] = []
    configuration = collect_problems(load, problems)
    path = options.web_config_file
    web_configuration = collect_problems(lambda: web_config.load(path) if path else web_config.WebConfig(), problems)
    if web_configuration:
        _warn(web_configuration.warnings)
        (problems.extend if options.check_config else _warn)(web_configuration.expired)
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
