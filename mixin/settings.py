"""The settings from which the alert rules and the dashboards are generated."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from bybit_exporter import durations

SEVERITIES = ("warning", "critical")


class SettingsError(ValueError):
    """The settings are not usable; the message names the key and says what would be right."""


@dataclass(frozen=True, slots=True)
class Levels:
    """A threshold for each severity of an alert."""

    warning: float
    critical: float


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The numbers that alerts, and the colours of the dashboards, compare with."""

    maintenance_margin_ratio: Levels = field(default_factory=lambda: Levels(0.5, 0.8))
    """At a ratio of 1 the exchange liquidates positions."""

    key_expires_in_days: Levels = field(default_factory=lambda: Levels(14, 3))
    """Days before a key expires."""

    rate_limit_remaining: float = 0.1
    """Share of a rate limit that is left."""

    clock_offset_seconds: float = 0.5
    """Difference between Bybit's clock and the clock of the exporter's machine."""

    free_balance_fall: float = 0.5
    """Share of the free balance of a coin that is gone within an hour."""

    account_value_fall: float = 0.25
    """Share of an account's value that a trade cannot cost, where a coin that was bought has no price."""

    poll_overdue_seconds: float = 300
    """How late a poll may be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. The defaults give the files in ``prometheus/``, ``grafana/`` and ``deploy/kubernetes/``."""

    selector: str = ""
    """PromQL matchers that are added to every selector of a metric: ``cluster="eu", job="bybit"``."""

    identity: tuple[str, ...] = ("cluster", "namespace", "job")
    """The labels that, with ``account``, say which account a series is about. A label that series do not have does no
    harm. Labels that change when the exporter moves (``instance``, ``pod``, ``node``) do not belong here. To keep a
    label of your own on alerts, such as ``team``, add it here."""

    exporter_jobs: str = ".*bybit.*"
    """A regular expression for the names of jobs of which every target is an exporter."""

    runbook_url: str = "http://localhost:9836/-/runbooks"
    """Address of the runbooks; ``#`` and the alert's name in lower case are added. The exporter serves them itself, at
    the address where ``make run`` and ``compose.yaml`` publish it."""

    thresholds: Thresholds = field(default_factory=Thresholds)

    status_interval: str = ""
    """How often the rules on bans are evaluated. Empty: Prometheus's ``evaluation_interval``."""

    balances_interval: str = "1m"
    """How often the rules are evaluated that read every coin. `BybitFreeBalanceFell` and `BybitFreeBalanceLow` may come
    this much later."""

    wait: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Replaces ``for`` of an alert: ``{BybitPollsFailing: {warning: 10m}}``."""

    disabled: frozenset[str] = frozenset()
    """Names of alerts that are left out."""

    def __post_init__(self) -> None:
        for label in self.identity:
            if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", label):
                raise SettingsError(f"identity: {label!r} is not a label name")
        if not set(self.identity).isdisjoint({"instance", "pod", "node", "account"}):
            raise SettingsError("identity: instance, pod and node change when the exporter moves; account is implied")


def read(path: Path) -> Settings:
    """The settings of a YAML file. What the file leaves out has its default.

    Raises:
        SettingsError: if the file is not valid.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from None
    try:
        return from_mapping(content or {})
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def from_mapping(content: Any) -> Settings:
    """The settings with these values in place of the defaults."""
    given = _known(content, "", {f.name for f in fields(Settings)})
    readers: Mapping[str, Callable[[Any, str], Any]] = {
        "selector": _text,
        "identity": _texts,
        "exporter_jobs": _text,
        "runbook_url": _text,
        "thresholds": _thresholds,
        "status_interval": _duration,
        "balances_interval": _duration,
        "wait": _wait,
        "disabled": lambda value, path: frozenset(_texts(value, path)),
    }
    return Settings(**{key: readers[key](value, key) for key, value in given.items()})


def _known(value: Any, path: str, keys: set[str]) -> Mapping[str, Any]:
    """The value, a mapping that has only these keys."""
    given = _mapping(value, path)
    for key in given:
        if key not in keys:
            place = f"{path}.{key}" if path else str(key)
            raise SettingsError(f"{place}: unknown setting; there are {', '.join(sorted(keys))}")
    return given


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{path or 'the file'}: must be a mapping")
    return value


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{path}: must be a text")
    return value


def _texts(value: Any, path: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise SettingsError(f"{path}: must be a list")
    return tuple(_text(each, f"{path}[{index}]") for index, each in enumerate(value))


def _number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingsError(f"{path}: must be a number")
    return value


def _duration(value: Any, path: str) -> str:
    try:
        durations.parse(_text(value, path))
    except ValueError:
        raise SettingsError(f"{path}: {value!r} is not a duration such as 90s or 1h30m") from None
    return str(value)


def _thresholds(value: Any, path: str) -> Thresholds:
    given = _known(value, path, {f.name for f in fields(Thresholds)})
    defaults = Thresholds()
    replaced: dict[str, Any] = {}
    for key, each in given.items():
        default = getattr(defaults, key)
        reader = _levels if isinstance(default, Levels) else _number
        replaced[key] = reader(each, f"{path}.{key}")
    return Thresholds(**replaced)


def _levels(value: Any, path: str) -> Levels:
    given = _known(value, path, set(SEVERITIES))
    if set(given) != set(SEVERITIES):
        raise SettingsError(f"{path}: must have both warning and critical")
    return Levels(**{key: _number(each, f"{path}.{key}") for key, each in given.items()})


def _wait(value: Any, path: str) -> Mapping[str, Mapping[str, str]]:
    return {
        alert: {
            severity: _duration(each, f"{path}.{alert}.{severity}")
            for severity, each in _known(by_severity, f"{path}.{alert}", set(SEVERITIES)).items()
        }
        for alert, by_severity in _mapping(value, path).items()
    }
