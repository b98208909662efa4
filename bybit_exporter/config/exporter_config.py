"""The configuration file: strict YAML to a frozen `Config`, or every problem at once, each with its path."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .. import durations, rsa
from ..model import STALE_AFTER_INTERVALS, Account, AccountType, Secret
from . import schema
from .file_permissions import warnings_of
from .schema import ConfigError as ConfigError
from .schema import Section

ENVIRONMENTS = {
    "mainnet": "https://api.bybit.com",
    "testnet": "https://api-testnet.bybit.com",
    "demo": "https://api-demo.bybit.com",
}
"""https://bybit-exchange.github.io/docs/v5/guide"""

ACCOUNT_TYPES = tuple(account_type.value for account_type in AccountType)
MAX_SECRET_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """How the exchange is asked."""

    base_url: str = ENVIRONMENTS["mainnet"]
    recv_window_seconds: float = 5.0
    timeout_seconds: float = 10.0
    max_requests_per_second: float = 100.0
    source_address: str | None = None
    """The address of this machine that requests go out from; None leaves it to the system."""


DEFAULT_PRICES_INTERVAL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Config:
    """A valid configuration."""

    api: ApiConfig
    accounts: tuple[Account, ...]
    prices_interval_seconds: float | None = DEFAULT_PRICES_INTERVAL_SECONDS
    """None: prices are not read."""
    warnings: tuple[str, ...] = field(default=(), compare=False)


def load(path: str | Path, environ: Mapping[str, str] | None = None) -> Config:
    """Reads the file and every secret it names.

    Raises:
        ConfigError: with every problem found.
    """
    return schema.load(path, lambda top: _config(top, Path(path), os.environ if environ is None else environ))


def _config(top: Section, path: Path, environ: Mapping[str, str]) -> Config:
    interval = top.take("poll_interval", schema.duration(1.0), 30.0)
    stale_after = top.take("stale_after", schema.duration(1.0), 0.0)
    api = _api(top.section("api"))
    prices_interval = _prices(top.section("prices"))
    sections = top.items("accounts")
    alone = len(sections) == 1
    secrets = [_Secrets(section, path, environ, alone) for section in sections]
    accounts = [_account(reader, interval, stale_after) for reader in secrets]
    _report_duplicates(sections, [account.name for account in accounts])
    for section, account in zip(sections, accounts, strict=True):
        if stale_after and stale_after < account.poll_interval_seconds:
            longer = f"the poll interval of {section.path}, {durations.show(account.poll_interval_seconds)}"
            top.report("stale_after", f"{durations.show(stale_after)} is shorter than {longer}")
            break
    top.finish()
    warnings = warnings_of(file for reader in secrets for file in reader.files) + _twice(accounts)
    return Config(api, tuple(accounts), prices_interval, tuple(warnings))


def _api(section: Section) -> ApiConfig:
    if section.has("environment") and section.has("base_url"):
        section.report("base_url", "stands instead of environment; give one of the two")
    environment = section.take("environment", schema.one_of(ENVIRONMENTS), "mainnet")
    default = ApiConfig()
    api = ApiConfig(
        section.take("base_url", _base_url, ENVIRONMENTS[environment]),
        section.take("recv_window", schema.duration(0.001, 60.0), default.recv_window_seconds),
        section.take("timeout", schema.duration(0.001, 600.0), default.timeout_seconds),
        section.take("max_requests_per_second", _positive_number, default.max_requests_per_second),
        section.take("source_address", _source_address, default.source_address),
    )
    section.finish()
    return api


def _prices(section: Section) -> float | None:
    enabled = section.take("enabled", schema.boolean, True)
    interval = section.take("interval", schema.duration(1.0), DEFAULT_PRICES_INTERVAL_SECONDS)
    section.finish()
    return interval if enabled else None


def _account(secrets: _Secrets, interval: float, stale_after: float) -> Account:
    section = secrets.section
    interval = section.take("poll_interval", schema.duration(1.0), interval)
    account = Account(
        name=section.require("name", _label, ""),
        account_type=AccountType(section.require("account_type", schema.one_of(ACCOUNT_TYPES), ACCOUNT_TYPES[0])),
        coins=section.take("coins", _coins(section), None),
        api_key=secrets.take("api_key", _secret_text),
        api_secret=secrets.take("api_secret", _secret_or_pem),
        poll_interval_seconds=interval,
        stale_after_seconds=stale_after or STALE_AFTER_INTERVALS * interval,
        **_subaccounts(section),
    )
    section.finish()
    return account


def _subaccounts(section: Section) -> dict[str, bool]:
    """``true``, or a section that says what more to read of them."""
    if not section.is_section("subaccounts"):
        return {"subaccounts": section.take("subaccounts", schema.boolean, False)}
    more = section.section("subaccounts")
    balances = more.take("balances", schema.one_of([AccountType.FUND]), "")
    more.finish()
    return {"subaccounts": True, "subaccount_balances": bool(balances)}


def _twice(accounts: Iterable[Account]) -> list[str]:
    """A warning for each key whose subaccounts would be read by several entries, beyond what the exchange allows."""
    names: dict[Secret, list[str]] = {}
    for account in accounts:
        if account.subaccounts:
            names.setdefault(account.api_key, []).append(schema.shown(account.name))
    return [
        f"the accounts {', '.join(each)} have the same key: write subaccounts in one of them only"
        for each in names.values()
        if len(each) > 1
    ]


def _report_duplicates(sections: Sequence[Section], names: Sequence[str]) -> None:
    first: dict[str, str] = {}
    for section, name in zip(sections, names, strict=True):
        if name and first.setdefault(name, section.path) != section.path:
            section.report("name", f"{schema.shown(name)} is the name of {first[name]} already")


@dataclass(frozen=True, slots=True)
class _Secrets:
    """Reads an account's secrets, each given in exactly one of three ways; no problem quotes a value."""

    section: Section
    path: Path
    environ: Mapping[str, str]
    alone: bool
    """Whether this is the only account: then ``BYBIT_API_KEY`` and ``BYBIT_API_SECRET`` count."""
    files: list[Path] = field(default_factory=list)
    """Where secrets were found."""

    def take(self, key: str, check: Callable[[Any], Secret]) -> Secret:
        ways: dict[str, Callable[[Any], Any]] = {
            key: self._from_the_configuration,
            f"{key}_file": self._from_file,
            f"{key}_env": self._from_environment,
        }
        secrets = [self.section.take(way, _both(read, check), None) for way, read in ways.items()]
        given = [way for way in ways if self.section.has(way)]
        if len(given) > 1:
            self.section.report(given[1], f"{given[0]} is given too; give exactly one of {', '.join(ways)}")
        elif not given:
            return self._fallback(key, check, f"missing; give one of {', '.join(ways)}")
        return next((secret for secret in secrets if secret is not None), Secret(""))

    def _fallback(self, key: str, check: Callable[[Any], Secret], problem: str) -> Secret:
        variable = f"BYBIT_{key.upper()}"
        try:
            if self.alone and variable in self.environ:
                return check(self.environ[variable])
            self.section.report(key, problem + (f", or set {variable}" if self.alone else ""))
        except ValueError as error:
            self.section.report(key, f"the environment variable {variable} {error}")
        return Secret("")

    def _from_the_configuration(self, value: Any) -> Any:
        self.files.append(self.path)
        return value

    def _from_file(self, value: Any) -> str:
        path = self.path.parent / schema.text(value)
        self.files.append(path)
        try:
            text = schema.read_text(path, MAX_SECRET_BYTES)
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
        return text.removesuffix("\n").removesuffix("\r")

    def _from_environment(self, value: Any) -> str:
        if schema.text(value) not in self.environ:
            raise ValueError("the environment has no variable of this name")
        return self.environ[value]


def _both(read: Callable[[Any], Any], check: Callable[[Any], Secret]) -> Callable[[Any], Secret]:
    return lambda value: check(read(value))


def _secret_text(value: Any) -> Secret:
    if not re.fullmatch(r"[!-~]+", schema.text(value)):
        raise ValueError("contains a blank, a line break or another character that no key or secret has")
    return Secret(value)


def _secret_or_pem(value: Any) -> Secret:
    """The secret of a key that the exchange has made, or the private RSA key of one that the user has made."""
    pem = schema.text(value).strip()
    if not pem.startswith(rsa.PEM_BEGINS):
        return _secret_text(value)
    rsa.private_key(pem)
    return Secret(pem)


def _label(value: Any) -> str:
    if not schema.text(value).isprintable():
        raise ValueError(f"{schema.shown(value)} contains a line break or another character that is not printable")
    return str(value)


def _coins(section: Section) -> Callable[[Any], tuple[str, ...] | None]:
    def convert(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            raise ValueError("must be a list such as [BTC, USDT]; leave it out for every coin of the account")
        for index, coin in enumerate(value):
            if not isinstance(coin, str):
                section.report(f"coins[{index}]", "must be a single value")
            elif not re.fullmatch(r"[A-Z0-9][A-Z0-9._-]*", coin):
                section.report(f"coins[{index}]", f"{schema.shown(coin)} is not an upper-case coin name")
            elif coin in value[:index]:
                section.report(f"coins[{index}]", f"{schema.shown(coin)} is listed twice")
        return tuple(sys.intern(str(coin)) for coin in value)  # one text for all accounts

    return convert


def _positive_number(value: Any) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", schema.text(value)) or float(value) <= 0:
        raise ValueError(f"{schema.shown(value)} is not a number greater than 0")
    return float(value)


def _source_address(value: Any) -> str:
    given = schema.text(value)
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        address = None
    if address is None or address.is_unspecified or address.is_multicast or "%" in given:
        raise ValueError(f"{schema.shown(given)} is not the IP address of a machine, such as 192.0.2.1 or 2001:db8::1")
    return str(address)


def _base_url(value: Any) -> str:
    """Scheme, host and port. The value is never quoted, since someone may have put a password into it."""
    try:
        url = urlsplit(schema.text(value))
        host, port = url.hostname or "", "" if url.port is None else f":{url.port}"
    except ValueError:
        url, host, port = urlsplit(""), "", ""
    address = (f"[{host}]" if ":" in host else host) + port
    if not _is_host(host) or url.netloc.lower() != address or url.path.strip("/") or url.query or url.fragment:
        raise ValueError("must be https:// and a host, such as https://api.bybit.nl")
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(host)):
        raise ValueError("must begin with https://; http:// is for loopback only")
    return f"{url.scheme}://{address}"


def _is_host(host: str) -> bool:
    if ":" not in host:
        return re.fullmatch(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", host) is not None
    try:
        return bool(ipaddress.IPv6Address(host))
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether the host name or address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
