"""The metrics of an account, one row each: name, type, help, labels, and a function from the state to the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import SupportsFloat

from ..model import AccountStatus, Balance
from .exposition import Family, Samples, label, optional
from .state import AccountState

_ACCOUNT = ("account", "account_type")


def amounts_of(field: str) -> Callable[[Iterable[Balance] | None], Samples]:
    """Returns a function that reads one field of every balance. A balance without that field has no sample."""
    read = attrgetter(field)

    def samples(balances: Iterable[Balance] | None) -> Samples:
        return [(label("coin", b.coin), float(amount)) for b in balances or () if (amount := read(b)) is not None]

    return samples


def _balance(name: str, help_text: str, field: str) -> Family[AccountState]:
    amounts = amounts_of(field)
    return Family(name, "gauge", help_text, (*_ACCOUNT, "coin"), lambda s: amounts(s.holdings))


def _gauge(name: str, help_text: str, read: Callable[[AccountState], SupportsFloat | None]) -> Family[AccountState]:
    return Family(name, "gauge", help_text, _ACCOUNT, optional(read))


def _margin(name: str, help_text: str, field: str) -> Family[AccountState]:
    """One of the totals of a unified account. A total that the exchange does not state has no series."""
    read = attrgetter(field)
    return _gauge(name, help_text, lambda s: None if s.margin is None else read(s.margin))


FIGURE_FAMILIES: tuple[Family[AccountState], ...] = (
    _balance(
        "bybit_asset_free",
        "Free balance in units of the coin, what was borrowed subtracted; negative: a debt (Bybit, SPOT: free; UNIFIED:"
        " walletBalance - spotBorrow - frozen as in bybit_asset_frozen, so in cross and portfolio margin the margin of"
        " positions is not subtracted, see bybit_account_available_balance_usd; FUND: transferBalance).",
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
        "Value of all that the account has of the coin, in US dollars, debts subtracted; none without a price (Bybit,"
        " UNIFIED: usdValue; SPOT, FUND: free + frozen + withdrawing, at bybit_coin_price_usd).",
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
"""The metrics of balances and margins. Often they are the same for many polls."""

STATE_FAMILIES: tuple[Family[AccountState], ...] = (
    Family(
        "bybit_account_status",
        "gauge",
        "1 for the status the account is in, 0 for the others: normal, banned, unknown (Bybit, SPOT: status; UNIFIED,"
        " FUND: an answer means normal; all: refusal 10027 means banned).",
        (*_ACCOUNT, "status"),
        lambda s: [(label("status", each), each is s.status) for each in AccountStatus] if s.status else (),
    ),
    _gauge("bybit_up", "1 if the latest poll of the account succeeded, else 0.", lambda s: s.up),
    _gauge(
        "bybit_last_success_timestamp_seconds",
        "Unix time at which the latest successful poll of the account ended.",
        lambda s: s.last_success_timestamp,
    ),
    _gauge(
        "bybit_poll_duration_seconds",
        "Duration of the latest poll of the account.",
        lambda s: s.poll_duration_seconds,
    ),
    _gauge(
        "bybit_poll_interval_seconds",
        "Configured time from one poll of the account to the next.",
        lambda s: s.account.poll_interval_seconds,
    ),
    _gauge(
        "bybit_next_poll_timestamp_seconds",
        "Unix time of the next poll of the account; after a refusal it may be later than one interval.",
        lambda s: s.next_poll_timestamp,
    ),
    Family(
        "bybit_polls_total",
        "counter",
        "Polls of the account, failed ones included.",
        _ACCOUNT,
        lambda s: [("", s.polls)],
    ),
    Family(
        "bybit_poll_failures_total",
        "counter",
        "Failed polls of the account by reason.",
        (*_ACCOUNT, "reason"),
        lambda s: [(label("reason", reason), count) for reason, count in s.failures.items()],
    ),
    Family(
        "bybit_api_rate_limit_requests",
        "gauge",
        "Limit on an endpoint, in requests, as the exchange last reported it (X-Bapi-Limit).",
        ("account", "endpoint"),
        lambda s: [(label("endpoint", path), each.limit) for path, each in s.rate_limits.items()],
    ),
    Family(
        "bybit_api_rate_limit_remaining_requests",
        "gauge",
        "Requests left of the limit, as the exchange last reported it (X-Bapi-Limit-Status).",
        ("account", "endpoint"),
        lambda s: [(label("endpoint", path), each.remaining) for path, each in s.rate_limits.items()],
    ),
    _gauge(
        "bybit_withdrawals_up",
        "1 if the latest reading of the account's withdrawals succeeded, else 0; FUND, where the key may read them.",
        lambda s: s.withdrawals.up,
    ),
)

ACCOUNT_FAMILIES = (*FIGURE_FAMILIES, *STATE_FAMILIES)


def render_account(families: Iterable[Family[AccountState]], state: AccountState) -> tuple[bytes, ...]:
    """Renders the account's sample lines: one entry for each family, empty if the account has no samples of it."""
    account = label("account", state.account.name)
    typed = account + label("account_type", state.account_type)
    return tuple([family.lines(typed if "account_type" in family.labels else account, state) for family in families])
