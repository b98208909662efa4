"""Made-up accounts of every kind over time, as series that a Prometheus can be filled with.

Every metric of the dashboards is in it, also those that appear only in trouble.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

Labels = dict[str, str]
Value = float | Callable[[float], float]
"""A value, or a function from the seconds since the start of the data."""
Sample = tuple[str, Labels, Value]

PRICES = {"BTC": 64000.0, "ETH": 3000.0, "SOL": 140.0, "USDT": 1.0}
BUCKETS = {"0.05": 0.2, "0.1": 0.7, "0.25": 0.93, "0.5": 0.97, "1": 0.99, "+Inf": 1.0}
INTERVAL_SECONDS = 15.0


@dataclass
class Account:
    """One account. ``coins`` has free and frozen; the figures are by the end of their metric's name."""

    name: str
    account_type: str
    coins: Mapping[str, tuple[Value, Value]] = field(default_factory=dict)
    status: str = "normal"
    up: bool = True
    reason: str = ""
    usd: Mapping[str, Value] = field(default_factory=dict)
    figures: Mapping[str, Value] = field(default_factory=dict)
    per_coin: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)


def wave(middle: float, height: float, seconds: float = 5000, shift: float = 0) -> Callable[[float], float]:
    """Moves around the middle."""
    return lambda t: (
        middle + height * (math.sin((t + shift) / seconds * 6.283) + 0.3 * math.sin((t + shift) / seconds * 27))
    )


ACCOUNTS = [
    Account(
        "main", "SPOT", {"BTC": (1.302604, 0.022527), "ETH": (wave(11.5, 2.5, 9000), 0.5), "USDT": (84220.5, 1200)}
    ),
    Account(
        "margin",
        "UNIFIED",
        {"BTC": (1.5, 0.5), "USDT": (-1000, 0)},
        usd={"USDT": -1000},
        figures={
            "equity_usd": wave(127000, 9000, 8000),
            "wallet_balance_usd": 126000,
            "margin_balance_usd": wave(125500, 9000, 8000),
            "available_balance_usd": wave(61000, 9000, 8000),
            "unrealised_pnl_usd": wave(-500, 900, 8000),
            "initial_margin_usd": 63000,
            "maintenance_margin_usd": 31000,
            "initial_margin_ratio": wave(0.62, -0.2, 8000),
            "maintenance_margin_ratio": wave(0.5, -0.25, 8000),
        },
        per_coin={
            "BTC": {"borrowed": 0, "unrealised_pnl": -0.0071, "initial_margin": 0.984, "maintenance_margin": 0.48},
            "USDT": {"borrowed": 1000, "accrued_interest": lambda t: 0.00002 * t, "initial_margin": 0},
        },
    ),
    Account(
        "isolated",
        "UNIFIED",
        {"USDT": (1805.2, 2466.1)},
        figures={"equity_usd": wave(4271, 150, 3000)},
        per_coin={"USDT": {"borrowed": 0, "unrealised_pnl": 12.5, "initial_margin": 2466.1, "maintenance_margin": 410}},
    ),
    Account(
        "spot-short",
        "UNIFIED",
        {"ETH": (-0.75, 0), "USDT": (5200, 0)},
        figures={
            "equity_usd": wave(2950, 60, 4000),
            "margin_balance_usd": wave(2950, 60, 4000),
            "available_balance_usd": wave(2100, 60, 4000),
            "initial_margin_ratio": wave(0.21, 0.02, 4000),
            "maintenance_margin_ratio": wave(0.08, 0.01, 4000),
        },
        per_coin={"ETH": {"borrowed": 0.75, "accrued_interest": 0.00012}},
    ),
    Account("vault", "FUND", {"BTC": (8.25, 0), "USDT": (417500, 2500), "GIFT": (2500, 0)}),
    Account(
        "treasury",
        "UNIFIED",
        {"USDT": (65000, 0), "SOL": (wave(310, 12, 7000), 0)},
        figures={
            "equity_usd": 108400,
            "margin_balance_usd": 108400,
            "available_balance_usd": 108400,
            "initial_margin_ratio": 0,
            "maintenance_margin_ratio": 0,
        },
    ),
    Account("banned", "SPOT", {"BTC": (0.25, 0.05)}, status="banned", up=False, reason="banned"),
    Account("locked-out", "SPOT", up=False, status="", reason="auth"),
]
WITHDRAWING = {("main", "USDT"): 35643.12, ("vault", "USDT"): 2.5}
PRODUCTS = {
    ("Earn", "FlexibleSaving"): {"USDT": 25000.0, "BTC": 0.4},
    ("TradingBot", ""): {"USDT": 3100.5},
    ("CryptoLoans", ""): {"USDT": -12000.0},
}
SUBACCOUNTS = {"desk": ("normal", 12800.0), "market-maker": ("normal", 84100.0), "lent": ("frozen", 64000.0)}


def usd_values(account: Account) -> Iterator[tuple[str, Value]]:
    """The value of each coin that has a price."""
    for coin, (free, frozen) in account.coins.items():
        if coin in PRICES:
            withdrawing = WITHDRAWING.get((account.name, coin), 0)
            yield coin, account.usd.get(coin, _times(PRICES[coin], free, frozen, withdrawing))


def _times(price: float, *amounts: Value) -> Value:
    return lambda t: price * sum(at(amount, t) for amount in amounts)


def at(value: Value, t: float) -> float:
    """The value at this time."""
    return value(t) if callable(value) else value


def hash_of(name: str) -> int:
    """A number that is the same in every run."""
    return sum(map(ord, name)) * 37


def of_account(account: Account, start: float) -> Iterator[Sample]:
    """The polls and balances of one account."""
    of = {"account": account.name, "account_type": account.account_type}
    yield "bybit_polls_total", of, _rate(1 / INTERVAL_SECONDS)
    yield "bybit_up", of, account.up
    yield "bybit_poll_interval_seconds", of, INTERVAL_SECONDS
    yield "bybit_poll_duration_seconds", of, wave(0.12, 0.03, 900, hash_of(account.name))
    latest = (lambda t: start + t - t % INTERVAL_SECONDS) if account.up else start
    yield "bybit_last_success_timestamp_seconds", of, latest
    yield "bybit_next_poll_timestamp_seconds", of, lambda t: start + t - t % INTERVAL_SECONDS + INTERVAL_SECONDS
    for reason in ("auth", "banned", "timeout"):
        failing = reason == account.reason
        yield "bybit_poll_failures_total", of | {"reason": reason}, _rate(1 / INTERVAL_SECONDS) if failing else 0
    for status in ("normal", "banned", "unknown") if account.status else ():
        yield "bybit_account_status", of | {"status": status}, status == account.status
    limit = {"account": account.name, "endpoint": "/v5/account/wallet-balance"}
    yield "bybit_api_rate_limit_requests", limit, 50
    yield "bybit_api_rate_limit_remaining_requests", limit, wave(42, 4, 700, hash_of(account.name))
    yield from balances(account, of)


def balances(account: Account, of: Labels) -> Iterator[Sample]:
    """What one account has."""
    for coin, (free, frozen) in account.coins.items():
        yield "bybit_asset_free", of | {"coin": coin}, free
        yield "bybit_asset_frozen", of | {"coin": coin}, frozen
        if account.account_type == "UNIFIED":
            yield "bybit_asset_equity", of | {"coin": coin}, _times(1, free, frozen)
        else:
            yield "bybit_asset_withdrawing", of | {"coin": coin}, WITHDRAWING.get((account.name, coin), 0)
    for coin, value in usd_values(account):
        yield "bybit_asset_usd_value", of | {"coin": coin}, value
    for name, value in account.figures.items():
        yield f"bybit_account_{name}", of, value
    for coin, figures in account.per_coin.items():
        for name, value in figures.items():
            yield f"bybit_asset_{name}", of | {"coin": coin}, value


def of_key(account: Account, start: float) -> Iterator[Sample]:
    """The key of one account."""
    of = {"account": account.name}
    yield "bybit_api_key_up", of, account.reason != "auth"
    if account.reason != "auth":
        yield "bybit_api_key_read_only", of, account.name != "spot-short"
        yield "bybit_api_key_withdraw", of, account.name == "spot-short"
        yield "bybit_api_key_ip_bound", of, account.name not in {"isolated", "spot-short"}
    if account.name in {"isolated", "spot-short"}:
        yield "bybit_api_key_expiry_timestamp_seconds", of, start + 10 * 86400


def of_treasury(start: float) -> Iterator[Sample]:
    """Funds held back, products and subaccounts."""
    vault, treasury = {"account": "vault"}, {"account": "treasury"}
    yield "bybit_withdrawals_up", vault | {"account_type": "FUND"}, 1
    yield "bybit_risk_frozen_up", vault, 1
    yield "bybit_account_risk_frozen_usd", vault, lambda t: 0 if t < 1200 else 250
    yield "bybit_products_up", treasury, 1
    yield "bybit_products_snapshot_timestamp_seconds", treasury, lambda t: start + t - 240
    for (product, category), coins in PRODUCTS.items():
        of = treasury | {"product": product}
        for coin, amount in coins.items():
            yield "bybit_product_equity", of | {"category": category, "coin": coin}, amount
        yield "bybit_product_equity_usd", of, sum(PRICES[coin] * amount for coin, amount in coins.items())
    yield "bybit_subaccounts_up", treasury, 1
    yield "bybit_subaccount_equity_up", treasury, 1
    for name, (status, value) in SUBACCOUNTS.items():
        of = treasury | {"subaccount": name}
        for each in ("normal", "login_banned", "frozen", "unknown"):
            yield "bybit_subaccount_status", of | {"status": each}, each == status
        yield "bybit_subaccount_equity_usd", of | {"wallet": "UNIFIED"}, wave(value, value / 20, 6000, value)
        yield "bybit_subaccount_equity_usd", of | {"wallet": "FUND"}, 64004
        yield "bybit_subaccount_balances_up", of, 1
        for coin, free, frozen in (("BTC", 1, 0), ("USDT", 3, 1)):
            asset = of | {"account_type": "FUND", "coin": coin}
            yield "bybit_subaccount_asset_free", asset, free
            yield "bybit_subaccount_asset_frozen", asset, frozen


def of_exporter(start: float) -> Iterator[Sample]:
    """The process, its requests, and the prices."""
    for coin, price in PRICES.items():
        yield "bybit_coin_price_usd", {"coin": coin}, price
    yield "bybit_prices_up", {}, 1
    yield "bybit_api_clock_offset_seconds", {}, wave(0.03, 0.02, 3000)
    yield "bybit_exporter_build_info", {"version": "2.0.0", "revision": "1a2b3c4", "python_version": "3.13.5"}, 1
    yield "bybit_exporter_shard_info", {"shard": "0", "total_shards": "1"}, 1
    yield "bybit_exporter_config_last_reload_successful", {}, 1
    yield "bybit_exporter_config_last_reload_success_timestamp_seconds", {}, start
    yield "up", {}, 1
    yield "process_start_time_seconds", {}, start
    yield "process_resident_memory_bytes", {}, wave(52e6, 1e6)
    yield "process_cpu_seconds_total", {}, lambda t: 0.021 * t
    yield "process_open_fds", {}, 24
    yield "process_max_fds", {}, 1024
    for endpoint, rate in (("/v5/account/wallet-balance", 0.3), ("/v5/market/tickers", 0.05)):
        for le, share in BUCKETS.items():
            yield "bybit_api_request_duration_seconds_bucket", {"endpoint": endpoint, "le": le}, _rate(rate * share)
        yield "bybit_api_request_duration_seconds_count", {"endpoint": endpoint}, _rate(rate)


def _rate(per_second: float) -> Value:
    return lambda t: per_second * t


def samples(start: float) -> Iterator[Sample]:
    """Every series of one exporter."""
    for account in ACCOUNTS:
        yield from of_account(account, start)
        yield from of_key(account, start)
    yield from of_treasury(start)
    yield from of_exporter(start)


def openmetrics(targets: Iterable[Labels], start: float, end: float, step: float, rest: str = "") -> str:
    """The series of exporters with these labels, at each step from the start to the end."""
    lines = []
    for target in targets:
        for name, labels, value in samples(start):
            text = ",".join(f'{key}="{each}"' for key, each in (target | labels).items())
            moment = start
            while moment <= end:
                lines.append(f"{name}{{{text}}} {at(value, moment - start):.10g} {moment:.3f}")
                moment += step
    return "\n".join([*lines, rest + "# EOF", ""])
