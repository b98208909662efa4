"""The settings from which the alert rules and the dashboards are generated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from bybit_exporter import durations

SEVERITIES = ("warning", "critical")

Number = int | float
"""A whole number stays one: the dashboards show it as the settings have it."""


class SettingsError(ValueError):
    """The settings are not usable; the message names the key and says what would be right."""


class Levels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A threshold for each severity of an alert."""

    warning: Number
    critical: Number


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers that alerts, and the colours of the dashboards, compare with."""

    maintenance_margin_ratio: Levels = Levels(0.5, 0.8)
    """At a ratio of 1 the exchange liquidates positions."""

    key_expires_in_days: Levels = Levels(14, 3)
    """Days before a key expires."""

    rate_limit_remaining: Number = 0.1
    """Share of a rate limit that is left."""

    clock_offset_seconds: Number = 0.5
    """Difference between Bybit's clock and the clock of the exporter's machine."""

    free_balance_fall: Number = 0.5
    """Share of the free balance of a coin that is gone within an hour."""

    account_value_fall: Number = 0.25
    """A loss of more than this share of an account's value is not explained by a trade for a coin that has no price."""

    negligible_loss_usd: Number = 10
    """A smaller loss of a coin raises no alert, if the coin has a price."""

    poll_overdue_seconds: Number = 300
    """How late a poll may be."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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

    thresholds: Thresholds = Thresholds()

    status_interval: str = ""
    """How often the rules on bans are evaluated. Empty: Prometheus's ``evaluation_interval``."""

    balances_interval: str = "1m"
    """How often the rules are evaluated that read every coin. `BybitFreeBalanceFell` and `BybitFreeBalanceLow` may come
    this much later."""

    wait: Mapping[str, Mapping[str, str]] = msgspec.field(default_factory=dict)
    """Replaces ``for`` of an alert: ``{BybitPollsFailing: {warning: 10m}}``."""

    disabled: frozenset[str] = frozenset()
    """Names of alerts that are left out."""

    def __post_init__(self) -> None:
        for label in self.identity:
            if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", label):
                raise SettingsError(f"identity: {label!r} is not a label name")
        if not set(self.identity).isdisjoint({"instance", "pod", "node", "account"}):
            raise SettingsError("identity: instance, pod and node change when the exporter moves; account is implied")
        waits = {f"wait.{name}.{severity}": text for name, each in self.wait.items() for severity, text in each.items()}
        given = {"status_interval": self.status_interval or "0s", "balances_interval": self.balances_interval}
        for key, text in (given | waits).items():
            try:
                durations.parse(text)
            except ValueError:
                raise SettingsError(f"{key}: {text!r} is not a duration such as 90s or 1h30m") from None


def read(path: Path) -> Settings:
    """The settings of a YAML file. What the file leaves out has its default.

    Raises:
        SettingsError: if the file is not valid.
    """
    try:
        return from_mapping(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (yaml.YAMLError, SettingsError) as error:
        raise SettingsError(f"{path}: {error}") from None


def from_mapping(content: Any) -> Settings:
    """The settings with these values in place of the defaults. Raises SettingsError."""
    try:
        return msgspec.convert(content, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(str(error)) from None
