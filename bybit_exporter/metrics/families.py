"""The metrics of an account, one row each: name, type, help, labels, and how it reads off the state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Literal

from ..model import AccountStatus, Balance
from .exposition import Family, Samples, label
from .state import AccountState


def amounts_of(field: str) -> Callable[[Iterable[Balance] | None], Samples]:
    """How one of the figures of every coin is read; where the exchange states none, there is none."""
    read = attrgetter(field)

    def samples(balances: Iterable[Balance] | None) -> Samples:
        return [(label("coin", b.coin), float(amount)) for b in balances or () if (amount := read(b)) is not None]

    return samples


def _balance(name: str, help_text: str, field: str) -> Family[AccountState]:
    amounts = amounts_of(field)
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


def render_account(families: Iterable[Family[AccountState]], state: AccountState) -> tuple[bytes, ...]:
    """The account's sample lines, one entry for each of these of `ACCOUNT_FAMILIES`, empty where it has none."""
    account = label("account", state.account.name)
    typed = account + label("account_type", state.account_type)
    return tuple([family.lines(typed if "account_type" in family.labels else account, state) for family in families])
