"""Every metric, one row each: name, type, help, labels, and how it reads off the state.

`ACCOUNT_FAMILIES` are rendered once for each account when what they show changes, those of `BESIDE` when there is news,
`EXPORTER_FAMILIES` at each scrape.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from operator import attrgetter
from typing import Any, Literal

from .. import REVISION, __version__
from ..model import AccountStatus, ApiKey, Balance, Subaccount, SubaccountStatus
from .exposition import Family, Samples, label
from .state import AccountState, Cached, ExporterState


def _amounts(field: str) -> Callable[[Iterable[Balance] | None], Samples]:
    """How one of the figures of every coin is read; where the exchange states none, there is none."""
    read = attrgetter(field)

    def samples(balances: Iterable[Balance] | None) -> Samples:
        return [(label("coin", b.coin), float(amount)) for b in balances or () if (amount := read(b)) is not None]

    return samples


def _balance(name: str, help_text: str, field: str) -> Family[AccountState]:
    amounts = _amounts(field)
    return Family(name, "gauge", help_text, ("account", "account_type", "coin"), lambda s: amounts(s.holdings))


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


def _withdrawals_up(state: AccountState) -> float | None:
    return state.withdrawals.up if state.withdrawals else None


def _failures(state: AccountState) -> Samples:
    return [(label("reason", reason), count) for reason, count in state.failures.items()]


def _limit(state: AccountState) -> Iterator[tuple[str, float]]:
    for endpoint, rate_limit in state.rate_limits.items():
        yield label("endpoint", endpoint), rate_limit.limit


def _remaining(state: AccountState) -> Iterator[tuple[str, float]]:
    for endpoint, rate_limit in state.rate_limits.items():
        yield label("endpoint", endpoint), rate_limit.remaining


_ACCOUNT = ("account", "account_type")

FIGURE_FAMILIES: tuple[Family[AccountState], ...] = (
    _balance(
        "bybit_asset_free",
        "Free balance in units of the coin; negative: a debt (Bybit, SPOT: free; UNIFIED: walletBalance - locked;"
        " FUND: transferBalance).",
        "free",
    ),
    _balance(
        "bybit_asset_frozen",
        "Balance frozen by open orders and the like, in units of the coin (Bybit, SPOT: frozen; UNIFIED: locked; FUND:"
        " walletBalance - transferBalance).",
        "frozen",
    ),
    _balance(
        "bybit_asset_withdrawing",
        "Balance in withdrawal, in units of the coin (Bybit, SPOT: withdraw; FUND: sum of the withdrawals under way,"
        " where the key may read them; UNIFIED: none).",
        "withdrawing",
    ),
    _balance(
        "bybit_asset_equity",
        "Equity of the coin in a unified account, in units of the coin (Bybit, UNIFIED: equity).",
        "equity",
    ),
    _balance(
        "bybit_asset_usd_value",
        "Value of the coin in a unified account, in US dollars (Bybit, UNIFIED: usdValue).",
        "usd_value",
    ),
)
"""What an account holds: often the same for many polls."""

STATE_FAMILIES: tuple[Family[AccountState], ...] = (
    Family(
        "bybit_account_status",
        "gauge",
        "1 for the status the account is in, 0 for the others: normal, banned, unknown (Bybit, SPOT: status; UNIFIED,"
        " FUND: an answer means normal; all: refusal 10027 means banned).",
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
    _value(
        "bybit_withdrawals_up",
        "gauge",
        "1 if the latest reading of the account's withdrawals succeeded, else 0; FUND, where the key may read them.",
        _withdrawals_up,
    ),
)

ACCOUNT_FAMILIES = (*FIGURE_FAMILIES, *STATE_FAMILIES)


def _up(name: str, help_text: str, *labels: str) -> Family[Cached[Any]]:
    def samples(known: Cached[Any]) -> Iterator[tuple[str, float]]:
        if known.up is not None:
            yield "", known.up

    return Family(name, "gauge", help_text, labels, samples)


def _of_key(name: str, help_text: str, read: Callable[[ApiKey], float | None]) -> Family[Cached[ApiKey]]:
    def samples(known: Cached[ApiKey]) -> Iterator[tuple[str, float]]:
        if known.value is not None and (value := read(known.value)) is not None:
            yield "", value

    return Family(name, "gauge", help_text, ("account",), samples)


def _subaccount_status(known: Cached[Sequence[Subaccount]]) -> Iterator[tuple[str, float]]:
    for member in known.value or ():
        for status in SubaccountStatus:
            yield label("subaccount", member.name) + label("status", status), status is member.status


def _of_subaccount(name: str, help_text: str, field: str) -> Family[Cached[Sequence[Balance]]]:
    amounts, typed = _amounts(field), label("account_type", "FUND")

    def samples(known: Cached[Sequence[Balance]]) -> Samples:
        return [(typed + coin, amount) for coin, amount in amounts(known.value)]

    return Family(name, "gauge", help_text, ("account", "account_type", "subaccount", "coin"), samples)


class Resource(Enum):
    """What is read beside the polls, and kept by itself."""

    API_KEY = "key"
    SUBACCOUNTS = "subaccounts"
    SUBACCOUNT_BALANCES = "balances of subaccounts"
    PRICES = "prices"


BESIDE: Mapping[Resource, tuple[Family[Cached[Any]], ...]] = {
    Resource.API_KEY: (
        _of_key(
            "bybit_api_key_read_only",
            "1 if the account's key can only read, else 0 (Bybit: readOnly).",
            lambda k: k.read_only,
        ),
        _of_key(
            "bybit_api_key_ip_bound",
            "1 if the account's key is bound to IP addresses, else 0 (Bybit: ips).",
            lambda k: k.ip_bound,
        ),
        _of_key(
            "bybit_api_key_expiry_timestamp_seconds",
            "Unix time at which the account's key expires; none if it does not (Bybit: expiredAt).",
            lambda k: k.expiry_timestamp,
        ),
        _up("bybit_api_key_up", "1 if the latest check of the account's key succeeded, else 0.", "account"),
    ),
    Resource.SUBACCOUNTS: (
        Family(
            "bybit_subaccount_status",
            "gauge",
            "1 for the status the subaccount is in, 0 for the others: normal, login_banned, frozen, unknown.",
            ("account", "subaccount", "status"),
            _subaccount_status,
        ),
        _up("bybit_subaccounts_up", "1 if the latest reading of the list of subaccounts succeeded, else 0.", "account"),
    ),
    Resource.SUBACCOUNT_BALANCES: (
        _of_subaccount(
            "bybit_subaccount_asset_free",
            "Free balance of a subaccount's funding wallet, in units of the coin (Bybit: transferBalance).",
            "free",
        ),
        _of_subaccount(
            "bybit_subaccount_asset_frozen",
            "Frozen balance of a subaccount's funding wallet, in units of the coin (Bybit: walletBalance -"
            " transferBalance).",
            "frozen",
        ),
        _up(
            "bybit_subaccount_balances_up",
            "1 if the latest reading of the subaccount's funding balance succeeded, else 0.",
            "account",
            "subaccount",
        ),
    ),
    Resource.PRICES: (_up("bybit_prices_up", "1 if the latest reading of the prices succeeded, else 0."),),
}

COIN_PRICE: Family[Mapping[str, float]] = Family(
    "bybit_coin_price_usd",
    "gauge",
    "Price of a coin of which there is a balance, in US dollars (Bybit: usdIndexPrice, else lastPrice in USDT).",
    ("coin",),
    lambda prices: ((label("coin", coin), price) for coin, price in prices.items()),
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
    Family(
        "bybit_exporter_shard_info",
        "gauge",
        "Always 1; the labels say which share of the accounts this process polls, counted from 0.",
        ("shard", "total_shards"),
        lambda s: [(label("shard", str(s.shard)) + label("total_shards", str(s.total_shards)), 1)],
    ),
)


ALL_FAMILIES: tuple[Family[Any], ...] = (
    *ACCOUNT_FAMILIES,
    *(family for families in BESIDE.values() for family in families),
    COIN_PRICE,
    *EXPORTER_FAMILIES,
)
"""In the order of the exposition."""


def render_account(families: Iterable[Family[AccountState]], state: AccountState) -> tuple[bytes, ...]:
    """The account's sample lines, one entry for each of these of `ACCOUNT_FAMILIES`, empty where it has none."""
    account = label("account", state.account.name)
    typed = account + label("account_type", state.account_type)
    return tuple([family.lines(typed if "account_type" in family.labels else account, state) for family in families])


def render_beside(shelf: Resource, account: str, subaccount: str, known: Cached[Any]) -> tuple[bytes, ...]:
    """The sample lines of what has been read beside the polls, one entry for each family of its shelf."""
    labels = (label("account", account) if account else "") + (label("subaccount", subaccount) if subaccount else "")
    return tuple(family.lines(labels, known) for family in BESIDE[shelf])
