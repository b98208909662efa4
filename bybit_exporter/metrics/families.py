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


def _margin(name: str, help_text: str, field: str) -> Family[AccountState]:
    """One of the totals of a unified account; a total that the exchange does not state has no series."""
    read = attrgetter(field)

    def value(state: AccountState) -> float | None:
        stated = None if state.margin is None else read(state.margin)
        return None if stated is None else float(stated)

    return _value(name, "gauge", help_text, value)


FIGURE_FAMILIES: tuple[Family[AccountState], ...] = (
    _balance(
        "bybit_asset_free",
        "Free balance in units of the coin, what was borrowed subtracted; negative: a debt (Bybit, SPOT: free; UNIFIED:"
        " walletBalance - spotBorrow - frozen as in bybit_asset_frozen; FUND: transferBalance).",
        "free",
    ),
    _balance(
        "bybit_asset_frozen",
        "Balance frozen by open orders and the like, in units of the coin (Bybit, SPOT: frozen; UNIFIED in cross and"
        " portfolio margin: locked; UNIFIED in isolated margin: locked + totalPositionIM + totalOrderIM + bonus; FUND:"
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
        "Equity of the coin, in units of the coin, debts subtracted and unrealised profit and loss added (Bybit,"
        " UNIFIED: equity).",
        "equity",
    ),
    _balance(
        "bybit_asset_usd_value",
        "Value of the coin in a unified account, in US dollars, debts subtracted (Bybit, UNIFIED: usdValue).",
        "usd_value",
    ),
    _balance(
        "bybit_asset_borrowed",
        "Debt in units of the coin, from spot and derivatives together (Bybit, UNIFIED: borrowAmount).",
        "borrowed",
    ),
    _balance(
        "bybit_asset_accrued_interest",
        "Interest owed on the debt and not yet paid, in units of the coin (Bybit, UNIFIED: accruedInterest).",
        "accrued_interest",
    ),
    _balance(
        "bybit_asset_unrealised_pnl",
        "Unrealised profit (negative: loss) of open positions, in units of the coin (Bybit, UNIFIED: unrealisedPnl).",
        "unrealised_pnl",
    ),
    _balance(
        "bybit_asset_initial_margin",
        "Initial margin of positions and orders, in units of the coin; none in portfolio margin (Bybit, UNIFIED:"
        " totalPositionIM + totalOrderIM).",
        "initial_margin",
    ),
    _balance(
        "bybit_asset_maintenance_margin",
        "Maintenance margin of positions, in units of the coin; none in portfolio margin (Bybit, UNIFIED:"
        " totalPositionMM).",
        "maintenance_margin",
    ),
    _margin(
        "bybit_account_equity_usd",
        "Equity of the unified account in US dollars, debts subtracted (Bybit, UNIFIED: totalEquity).",
        "equity_usd",
    ),
    _margin(
        "bybit_account_wallet_balance_usd",
        "Wallet balance of the unified account in US dollars (Bybit, UNIFIED: totalWalletBalance).",
        "wallet_balance_usd",
    ),
    _margin(
        "bybit_account_margin_balance_usd",
        "Wallet balance and unrealised profit and loss of perpetuals, in US dollars; none in isolated margin (Bybit,"
        " UNIFIED: totalMarginBalance).",
        "margin_balance_usd",
    ),
    _margin(
        "bybit_account_available_balance_usd",
        "Balance that is available for new positions, in US dollars; none in isolated margin (Bybit, UNIFIED:"
        " totalAvailableBalance).",
        "available_balance_usd",
    ),
    _margin(
        "bybit_account_unrealised_pnl_usd",
        "Unrealised profit (negative: loss) of perpetuals, in US dollars (Bybit, UNIFIED: totalPerpUPL).",
        "unrealised_pnl_usd",
    ),
    _margin(
        "bybit_account_initial_margin_usd",
        "Initial margin of the account in US dollars; none in isolated margin (Bybit, UNIFIED: totalInitialMargin).",
        "initial_margin_usd",
    ),
    _margin(
        "bybit_account_maintenance_margin_usd",
        "Maintenance margin of the account in US dollars; none in isolated margin (Bybit, UNIFIED:"
        " totalMaintenanceMargin).",
        "maintenance_margin_usd",
    ),
    _margin(
        "bybit_account_initial_margin_ratio",
        "Initial margin as a share of the margin balance, 1 is 100 %; none in isolated margin (Bybit, UNIFIED:"
        " accountIMRate).",
        "initial_margin_ratio",
    ),
    _margin(
        "bybit_account_maintenance_margin_ratio",
        "Maintenance margin as a share of the margin balance, 1 is 100 %: at 1 the exchange liquidates the account;"
        " none in isolated margin (Bybit, UNIFIED: accountMMRate).",
        "maintenance_margin_ratio",
    ),
)
"""What an account has: often the same for many polls."""

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
