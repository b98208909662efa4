"""Every metric, one row each: name, type, help, labels, and how it reads off the state.

`ACCOUNT_FAMILIES` are rendered once for each account whenever its state changes, `EXPORTER_FAMILIES` at
each scrape. The sample lines of the Prometheus text format and of OpenMetrics are the same; only the
headers of counters differ, so stored bytes serve both.

Format: https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Generic, Literal, TypeVar

from prometheus_client.utils import floatToGoString

from . import REVISION, __version__
from .model import AccountState, AccountStatus, Balance, ExporterState

S = TypeVar("S")
Samples = Iterable[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Family(Generic[S]):
    """A metric family. `samples` yields the label text that follows the account's, and the value."""

    name: str
    type: Literal["gauge", "counter"]
    help: str
    labels: tuple[str, ...]
    samples: Callable[[S], Samples]

    def header(self, *, openmetrics: bool) -> bytes:
        """The HELP and TYPE lines. OpenMetrics names a counter's family without ``_total``."""
        name = self.name.removesuffix("_total") if openmetrics and self.type == "counter" else self.name
        return f"# HELP {name} {self.help}\n# TYPE {name} {self.type}\n".encode()


_number: Callable[[float], str] = floatToGoString


@lru_cache(maxsize=8192)
def label(name: str, value: str) -> str:
    """``,name="value"`` with the value escaped as both formats demand."""
    escaped = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f',{name}="{escaped}"'


def _balance(name: str, help_text: str, read: Callable[[Balance], Decimal]) -> Family[AccountState]:
    def samples(state: AccountState) -> Iterator[tuple[str, float]]:
        for balance in state.balances or ():
            yield label("coin", balance.coin), float(read(balance))

    return Family(name, "gauge", help_text, ("account", "account_type", "coin"), samples)


def _value(
    name: str,
    kind: Literal["gauge", "counter"],
    help_text: str,
    read: Callable[[AccountState], float | None],
) -> Family[AccountState]:
    def samples(state: AccountState) -> Iterator[tuple[str, float]]:
        value = read(state)
        if value is not None:
            yield "", value

    return Family(name, kind, help_text, ("account", "account_type"), samples)


def _status(state: AccountState) -> Iterator[tuple[str, float]]:
    if state.status is not None:
        for status in AccountStatus:
            yield label("status", status), status is state.status


def _failures(state: AccountState) -> Iterator[tuple[str, float]]:
    for reason, count in state.failures.items():
        yield label("reason", reason), count


def _limit(state: AccountState) -> Iterator[tuple[str, float]]:
    for endpoint, rate_limit in state.rate_limits.items():
        yield label("endpoint", endpoint), rate_limit.limit


def _remaining(state: AccountState) -> Iterator[tuple[str, float]]:
    for endpoint, rate_limit in state.rate_limits.items():
        yield label("endpoint", endpoint), rate_limit.remaining


_ACCOUNT = ("account", "account_type")

ACCOUNT_FAMILIES: tuple[Family[AccountState], ...] = (
    _balance("bybit_asset_free", "Free balance in units of the coin (Bybit: free).", lambda b: b.free),
    _balance(
        "bybit_asset_frozen",
        "Balance frozen by open orders and the like, in units of the coin (Bybit: frozen).",
        lambda b: b.frozen,
    ),
    _balance(
        "bybit_asset_withdrawing",
        "Balance in withdrawal, in units of the coin (Bybit: withdraw).",
        lambda b: b.withdrawing,
    ),
    Family(
        "bybit_account_status",
        "gauge",
        "1 for the status the account is in, 0 for the others: normal, banned, unknown.",
        (*_ACCOUNT, "status"),
        _status,
    ),
    _value("bybit_up", "gauge", "1 if the latest poll of the account succeeded, else 0.", lambda s: s.up),
    _value(
        "bybit_last_success_timestamp_seconds",
        "gauge",
        "Unix time at which the latest successful poll of the account ended.",
        lambda s: s.last_success_timestamp,
    ),
    _value(
        "bybit_poll_duration_seconds",
        "gauge",
        "Duration of the latest poll of the account.",
        lambda s: s.poll_duration_seconds,
    ),
    _value(
        "bybit_poll_interval_seconds",
        "gauge",
        "Configured time from one poll of the account to the next.",
        lambda s: s.account.poll_interval_seconds,
    ),
    _value(
        "bybit_next_poll_timestamp_seconds",
        "gauge",
        "Unix time at which the account is asked next; far ahead while a refusal is waited out.",
        lambda s: s.next_poll_timestamp,
    ),
    _value("bybit_polls_total", "counter", "Polls of the account, failed ones included.", lambda s: s.polls),
    Family(
        "bybit_poll_failures_total",
        "counter",
        "Failed polls of the account by reason.",
        (*_ACCOUNT, "reason"),
        _failures,
    ),
    Family(
        "bybit_api_rate_limit_requests",
        "gauge",
        "Limit on an endpoint, in requests, as the exchange last reported it (X-Bapi-Limit).",
        ("account", "endpoint"),
        _limit,
    ),
    Family(
        "bybit_api_rate_limit_remaining_requests",
        "gauge",
        "What was left of the limit when the exchange last reported it (X-Bapi-Limit-Status).",
        ("account", "endpoint"),
        _remaining,
    ),
)


def _build_info(_: ExporterState) -> Iterator[tuple[str, float]]:
    yield (
        (
            label("python_version", platform.python_version())
            + label("revision", REVISION)
            + label("version", __version__)
        ),
        1,
    )


def _clock_offset(state: ExporterState) -> Iterator[tuple[str, float]]:
    if state.clock_offset_seconds is not None:
        yield "", state.clock_offset_seconds


EXPORTER_FAMILIES: tuple[Family[ExporterState], ...] = (
    Family(
        "bybit_api_clock_offset_seconds",
        "gauge",
        "The exchange's clock minus this machine's, from the latest answer.",
        (),
        _clock_offset,
    ),
    Family(
        "bybit_exporter_build_info",
        "gauge",
        "Always 1; the labels say what is running.",
        ("python_version", "revision", "version"),
        _build_info,
    ),
    Family(
        "bybit_exporter_config_last_reload_successful",
        "gauge",
        "1 if the configuration was read without error the last time it was read, else 0.",
        (),
        lambda s: [("", s.config_reload_successful)],
    ),
    Family(
        "bybit_exporter_config_last_reload_success_timestamp_seconds",
        "gauge",
        "Unix time at which the configuration was last read without error.",
        (),
        lambda s: [("", s.config_reload_success_timestamp)],
    ),
)


def render_account(state: AccountState) -> tuple[bytes, ...]:
    """The account's sample lines, one entry for each of `ACCOUNT_FAMILIES`, empty where it has none."""
    account = label("account", state.account.name)[1:]
    typed = account + label("account_type", state.account.account_type)
    return tuple(
        _lines(family.name, typed if "account_type" in family.labels else account, family.samples(state))
        for family in ACCOUNT_FAMILIES
    )


def render_exporter(family: Family[ExporterState], state: ExporterState) -> bytes:
    """The sample lines of one of `EXPORTER_FAMILIES`."""
    return _lines(family.name, "", family.samples(state))


def _lines(name: str, labels: str, samples: Samples) -> bytes:
    lines = []
    for more, value in samples:
        text = (labels + more).removeprefix(",")
        lines.append(f"{name}{{{text}}} {_number(value)}\n" if text else f"{name} {_number(value)}\n")
    return "".join(lines).encode()
