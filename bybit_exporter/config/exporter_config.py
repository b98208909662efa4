"""The configuration file of the exporter."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import durations
from ..model import STALE_AFTER_INTERVALS, Account, AccountType, Secret
from . import schema
from .accounts import read_account
from .api import ApiConfig, read_api
from .schema import Section, warnings_of
from .secrets import SecretReader

DEFAULT_PRICES_INTERVAL_SECONDS = 60.0

Pairs = Sequence[tuple[Section, Account]]
"""Each section of the file, with the account that it describes."""


@dataclass(frozen=True, slots=True)
class Config:
    """A valid configuration."""

    api: ApiConfig
    accounts: tuple[Account, ...]
    prices_interval_seconds: float | None = DEFAULT_PRICES_INTERVAL_SECONDS
    """None: prices are not read."""
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """What is allowed, but probably not wanted: one sentence each, for the log."""


def load(path: str | Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Reads the file and every secret it names. ``environ`` has the environment variables.

    Raises:
        ConfigError: with every problem found.
    """
    return schema.load(path, lambda top: _config(top, Path(path), environ))


def _config(top: Section, path: Path, environ: Mapping[str, str]) -> Config:
    interval = top.optional("poll_interval", schema.duration(1.0), 30.0)
    longest_stale_after = STALE_AFTER_INTERVALS * schema.LONGEST_SECONDS  # so that each default can be written
    stale_after = top.optional("stale_after", schema.duration(1.0, longest_stale_after), 0.0)
    api = read_api(top.section("api"))
    prices_interval = _prices(top.section("prices"))
    sections = top.items("accounts")
    secrets = [SecretReader(section, path, environ, is_only_account=len(sections) == 1) for section in sections]
    accounts = [read_account(*pair, interval, stale_after) for pair in zip(sections, secrets, strict=True)]
    pairs = list(zip(sections, accounts, strict=True))
    _report_duplicate_names(pairs)
    if stale_after:
        _report_short_stale_after(top, stale_after, pairs)
    top.finish()
    warnings = [
        *warnings_of(file for reader in secrets for file in reader.files),
        *_warn_of_shared_keys(accounts, "subaccounts", lambda account: account.subaccounts),
        *_warn_of_shared_keys(accounts, "products", lambda account: account.products),
    ]
    if api.is_demo:
        warnings += _warn_of_demo(path, pairs)
    return Config(api, tuple(accounts), prices_interval, tuple(warnings))


def _prices(section: Section) -> float | None:
    enabled = section.optional("enabled", schema.boolean, True)
    interval = section.optional("interval", schema.duration(1.0), DEFAULT_PRICES_INTERVAL_SECONDS)
    section.finish()
    return interval if enabled else None


def _report_duplicate_names(pairs: Pairs) -> None:
    first: dict[str, str] = {}
    for section, account in pairs:
        if account.name and first.setdefault(account.name, section.path) != section.path:
            section.report("name", f"{schema.quote(account.name)} is the name of {first[account.name]} already")


def _report_short_stale_after(top: Section, stale_after: float, pairs: Pairs) -> None:
    for section, account in pairs:
        if stale_after < account.poll_interval_seconds:
            longer = f"the poll interval of {section.path}, {durations.show(account.poll_interval_seconds)}"
            top.report("stale_after", f"{durations.show(stale_after)} is shorter than {longer}")
            return


def _warn_of_shared_keys(accounts: Iterable[Account], key: str, is_wanted: Callable[[Account], bool]) -> list[str]:
    """Warns of each API key with which several accounts read the same: it would be requested and counted twice."""
    names: dict[Secret, list[str]] = {}
    for account in filter(is_wanted, accounts):
        names.setdefault(account.api_key, []).append(schema.quote(account.name))
    return [
        f"the accounts {', '.join(each)} have the same key: write {key} in one of them only"
        for each in names.values()
        if len(each) > 1
    ]


def _warn_of_demo(path: Path, pairs: Pairs) -> list[str]:
    """A warning for everything that an account asks for and demo trading does not have."""
    warnings = []
    for section, account in pairs:
        lacking = {
            "account_type": account.account_type is AccountType.FUND and "no funding wallet and no withdrawals",
            "subaccounts": account.subaccounts and "no subaccounts",
            "products": account.products and "no products outside the wallets",
        }
        warnings += [f"{path}: {section.path}.{key}: demo trading has {what}" for key, what in lacking.items() if what]
    return warnings
