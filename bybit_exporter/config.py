"""The configuration file: strict YAML to a frozen `Config`, or every problem at once, each with its path."""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from . import durations, strict_yaml
from .model import Account, AccountType, Secret

T = TypeVar("T")

ENVIRONMENTS = {
    "mainnet": "https://api.bybit.com",
    "testnet": "https://api-testnet.bybit.com",
    "demo": "https://api-demo.bybit.com",
}
"""https://bybit-exchange.github.io/docs/v5/guide"""

ACCOUNT_TYPES = tuple(account_type.value for account_type in AccountType)
STALE_AFTER_INTERVALS = 3
MAX_CONFIG_BYTES = 16 << 20
MAX_SECRET_BYTES = 64 << 10


class ConfigError(Exception):
    """What is wrong with the configuration: one sentence a problem, none of which shows a secret."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """How the exchange is asked."""

    base_url: str = ENVIRONMENTS["mainnet"]
    recv_window_seconds: float = 5.0
    timeout_seconds: float = 10.0
    max_requests_per_second: float = 100.0


@dataclass(frozen=True, slots=True)
class Config:
    """A valid configuration."""

    api: ApiConfig
    accounts: tuple[Account, ...]


def load(path: str | Path, environ: Mapping[str, str] | None = None) -> Config:
    """Reads the file and every secret it names.

    Raises:
        ConfigError: with every problem found.
    """
    problems: list[str] = []

    def report(where: str, problem: str) -> None:
        problems.append(f"{path}: {where}: {problem}" if where else f"{path}: {problem}")

    try:
        document = strict_yaml.parse(_read(Path(path), MAX_CONFIG_BYTES), report)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except ValueError as error:
        raise ConfigError([f"{path}: {error}"]) from None
    config = _config(
        _Section(document or {}, "", report), Path(path).parent, os.environ if environ is None else environ
    )
    if problems:
        raise ConfigError(problems)
    return config


def _read(path: Path, limit: int) -> str:
    """The text of a file. Raises OSError, or ValueError with what is wrong with the content."""
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"is larger than {limit} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None


class _Section:
    """A mapping of the file. Each key is taken once; what is wrong, missing or left over is reported."""

    def __init__(self, value: Any, path: str, report: Callable[[str, str], None]) -> None:
        self.path = path
        self.is_mapping = isinstance(value, dict)
        self._report = report
        self._values: dict[str, Any] = value if self.is_mapping else {}
        if not self.is_mapping:
            report(path, "must be a mapping of keys to values")
        self._known: list[str] = []

    def report(self, key: str, problem: str) -> None:
        self._report(f"{self.path}.{key}".strip("."), problem)

    def has(self, key: str) -> bool:
        return key in self._values

    def take(self, key: str, convert: Callable[[Any], T], default: T) -> T:
        """The converted value; the default if the key is absent or its value wrong (which is reported)."""
        self._known.append(key)
        if key not in self._values:
            return default
        try:
            return convert(self._values[key])
        except ValueError as error:
            self.report(key, str(error))
            return default

    def require(self, key: str, convert: Callable[[Any], T], default: T) -> T:
        """Like `take`; an absent key is a problem."""
        if key not in self._values:
            self.report(key, "missing")
        return self.take(key, convert, default)

    def section(self, key: str) -> _Section:
        self._known.append(key)
        return _Section(self._values.get(key) or {}, f"{self.path}.{key}".strip("."), self._report)

    def items(self, key: str) -> list[_Section]:
        """The mappings of a list that must not be empty."""
        self._known.append(key)
        values = self._values.get(key)
        if not isinstance(values, list) or not values:
            self.report(key, "missing" if values is None else "must be a list of at least one entry")
            return []
        sections = [
            _Section(value, f"{self.path}.{key}[{i}]".strip("."), self._report) for i, value in enumerate(values)
        ]
        return [section for section in sections if section.is_mapping]

    def finish(self) -> None:
        """Reports the keys that nobody took."""
        for key in self._values.keys() - set(self._known):
            similar = difflib.get_close_matches(key, self._known, n=1)
            hint = f"did you mean {similar[0]}?" if similar else f"known here: {', '.join(self._known)}"
            self.report(strict_yaml.shown_key(key), f"unknown key; {hint}")


def _config(top: _Section, directory: Path, environ: Mapping[str, str]) -> Config:
    interval = top.take("poll_interval", _duration(1.0), 30.0)
    stale_after = top.take("stale_after", _duration(1.0), 0.0)
    api = _api(top.section("api"))
    sections = top.items("accounts")
    alone = len(sections) == 1
    accounts = [
        _account(section, interval, stale_after, _Secrets(section, directory, environ, alone)) for section in sections
    ]
    _report_duplicates(sections, [account.name for account in accounts])
    for section, account in zip(sections, accounts, strict=True):
        if stale_after and stale_after < account.poll_interval_seconds:
            longer = f"the poll interval of {section.path}, {durations.show(account.poll_interval_seconds)}"
            top.report("stale_after", f"{durations.show(stale_after)} is shorter than {longer}")
            break
    top.finish()
    return Config(api, tuple(accounts))


def _api(section: _Section) -> ApiConfig:
    if section.has("environment") and section.has("base_url"):
        section.report("base_url", "stands instead of environment; give one of the two")
    environment = section.take("environment", _one_of(ENVIRONMENTS), "mainnet")
    default = ApiConfig()
    api = ApiConfig(
        section.take("base_url", _base_url, ENVIRONMENTS[environment]),
        section.take("recv_window", _duration(0.001, 60.0), default.recv_window_seconds),
        section.take("timeout", _duration(0.001, 600.0), default.timeout_seconds),
        section.take("max_requests_per_second", _positive_number, default.max_requests_per_second),
    )
    section.finish()
    return api


def _account(section: _Section, interval: float, stale_after: float, secrets: _Secrets) -> Account:
    interval = section.take("poll_interval", _duration(1.0), interval)
    account = Account(
        name=section.require("name", _label, ""),
        account_type=AccountType(section.require("account_type", _one_of(ACCOUNT_TYPES), ACCOUNT_TYPES[0])),
        coins=section.take("coins", _coins(section), None),
        api_key=secrets.take("api_key"),
        api_secret=secrets.take("api_secret"),
        poll_interval_seconds=interval,
        stale_after_seconds=stale_after or STALE_AFTER_INTERVALS * interval,
    )
    section.finish()
    return account


def _report_duplicates(sections: Sequence[_Section], names: Sequence[str]) -> None:
    first: dict[str, str] = {}
    for section, name in zip(sections, names, strict=True):
        if name and first.setdefault(name, section.path) != section.path:
            section.report("name", f"{_shown(name)} is the name of {first[name]} already")


@dataclass(frozen=True, slots=True)
class _Secrets:
    """Reads an account's secrets, each given in exactly one of three ways; no problem quotes a value."""

    section: _Section
    directory: Path
    environ: Mapping[str, str]
    alone: bool
    """Whether this is the only account: then ``BYBIT_API_KEY`` and ``BYBIT_API_SECRET`` count."""

    def take(self, key: str) -> Secret:
        ways = {key: _secret_text, f"{key}_file": self._from_file, f"{key}_env": self._from_environment}
        secrets = [self.section.take(way, read, None) for way, read in ways.items()]
        given = [way for way in ways if self.section.has(way)]
        if len(given) > 1:
            self.section.report(given[1], f"{given[0]} is given too; give exactly one of {', '.join(ways)}")
        elif not given:
            return self._fallback(key, f"missing; give one of {', '.join(ways)}")
        return next((secret for secret in secrets if secret is not None), Secret(""))

    def _fallback(self, key: str, problem: str) -> Secret:
        variable = f"BYBIT_{key.upper()}"
        try:
            if self.alone and variable in self.environ:
                return _secret_text(self.environ[variable])
            self.section.report(key, problem + (f", or set {variable}" if self.alone else ""))
        except ValueError as error:
            self.section.report(key, f"the environment variable {variable} {error}")
        return Secret("")

    def _from_file(self, value: Any) -> Secret:
        try:
            text = _read(self.directory / _text(value), MAX_SECRET_BYTES)
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
        return _secret_text(text.removesuffix("\n").removesuffix("\r"))

    def _from_environment(self, value: Any) -> Secret:
        if _text(value) not in self.environ:
            raise ValueError("the environment has no variable of this name")
        return _secret_text(self.environ[value])


def _text(value: Any) -> str:
    if value is None or value == "":
        raise ValueError("is empty")
    if not isinstance(value, str):
        raise ValueError("must be a single value")
    return value


def _secret_text(value: Any) -> Secret:
    if not re.fullmatch(r"[!-~]+", _text(value)):
        raise ValueError("contains a blank, a line break or another character that no key or secret has")
    return Secret(value)


def _label(value: Any) -> str:
    if not _text(value).isprintable():
        raise ValueError(f"{_shown(value)} contains a line break or another character that is not printable")
    return str(value)


def _coins(section: _Section) -> Callable[[Any], tuple[str, ...] | None]:
    def convert(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            raise ValueError("must be a list such as [BTC, USDT]; leave it out for every coin of the account")
        for index, coin in enumerate(value):
            if not isinstance(coin, str) or not re.fullmatch(r"[A-Z0-9][A-Z0-9._-]*", coin):
                section.report(f"coins[{index}]", f"{_shown(coin)} is not an upper-case coin name")
            elif coin in value[:index]:
                section.report(f"coins[{index}]", f"{_shown(coin)} is listed twice")
        return tuple(str(coin) for coin in value)

    return convert


def _duration(shortest: float, longest: float = 86_400.0) -> Callable[[Any], float]:
    def convert(value: Any) -> float:
        try:
            seconds = durations.parse(_text(value))
        except ValueError:
            raise ValueError(f"{_shown(value)} is not a duration such as 30s or 1m30s") from None
        if not shortest <= seconds <= longest:
            bounds = f"{durations.show(shortest)} to {durations.show(longest)}"
            raise ValueError(f"{_shown(value)} is outside of {bounds}")
        return seconds

    return convert


def _positive_number(value: Any) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", _text(value)) or float(value) <= 0:
        raise ValueError(f"{_shown(value)} is not a number greater than 0")
    return float(value)


def _one_of(choices: Iterable[str]) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        if _text(value) not in choices:
            raise ValueError(f"{_shown(value)} is not one of {', '.join(choices)}")
        return str(value)

    return convert


def _base_url(value: Any) -> str:
    """Scheme, host and port. The value is never quoted, since someone may have put a password into it."""
    try:
        url = urlsplit(_text(value))
        port = "" if url.port is None else f":{url.port}"
    except ValueError:
        url, port = urlsplit(""), ""
    host = f"[{url.hostname}]" if url.hostname and ":" in url.hostname else url.hostname
    if not host or url.netloc.lower() != f"{host}{port}" or url.path.strip("/") or url.query or url.fragment:
        raise ValueError("must be https:// and a host, such as https://api.bybit.nl")
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
        raise ValueError("must begin with https://; http:// is for loopback only")
    return f"{url.scheme}://{host}{port}"


def is_loopback(host: str) -> bool:
    """Whether the host name or address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"
