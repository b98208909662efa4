"""Answers of unified accounts, and the figures that they must come out as: through every part of the exporter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bybit_exporter.model import AccountType
from bybit_exporter.sandbox import ASSET_OVERVIEW, MEMBERS_ASSETS, UNLIMITED, WALLET_BALANCE, Exchange, faults
from tests.in_process import Serving, account_for

ANSWERS = Path(__file__).parent / "answers"
GOLDEN = Path(__file__).parent.parent / "golden"

COINS = """
| answer | coin | free | frozen | borrowed | accrued_interest | initial_margin | maintenance_margin | usd_value |
| unified_cross_with_spot_borrow | BTC | 0.4 | 0.1 | 0.4 | 0.00002 | 0 | 0 | 30000 |
| unified_cross_with_spot_borrow | USDT | 750 | 0 | 0 | 0 | 9000 | 2464.8 | 810 |
| unified_cross_spot_short | ETH | -0.25 | 0 | 0.25 | 0.0003 | 0 | 0 | -600 |
| unified_cross_spot_short | USDT | 2000 | 0 | 0 | 0 | 0 | 0 | 2000 |
| unified_cross_derivatives_debt | USDC | -1000 | 0 | 1000 | 0 | 0 | 0 | -1000 |
| unified_cross_derivatives_debt | USDT | 6000 | 0 | 0 | 0 | 0 | 0 | 6000 |
| unified_isolated | USDT | 3390 | 1610 | 0 | 0 | 1300 | 40.25 | 4800 |
| unified_portfolio | USDT | 10 | 0 | 0 | 0 | none | none | 10 |
| unified_older_answer | USDT | 7 | 0 | none | none | none | none | 7 |
"""

ACCOUNT_WIDE = """
| answer | equity_usd | wallet_balance_usd | margin_balance_usd | available_balance_usd | unrealised_pnl_usd |\
 initial_margin_usd | maintenance_margin_usd | initial_margin_ratio | maintenance_margin_ratio |
| unified_cross_with_spot_borrow | 30810 | 30750 | 30810 | 12000.5 | 60 | 9000 | 2464.8 | 0.2921 | 0.08 |
| unified_cross_spot_short | 1400 | 1400 | 1400 | 800 | 0 | 0 | 0 | 0 | 0 |
| unified_cross_derivatives_debt | 5000 | 5000 | 5000 | 4000 | 0 | 0 | 0 | 0 | 0 |
| unified_isolated | 4800 | 5000 | none | none | -200 | none | none | none | none |
| unified_portfolio | 10 | 10 | 10 | 9 | 0 | 1 | 0.5 | 0.1 | 0.05 |
| unified_older_answer | 7 | 7 | 0 | none | 0 | 0 | 0 | none | none |
| unified_nothing_yet | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |
"""


def rows(table: str) -> list[dict[str, str]]:
    head, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines())
    return [dict(zip(head, line, strict=True)) for line in lines]


def stated(row: dict[str, str]) -> dict[str, float]:
    """The figures of a row. ``none`` is no series."""
    return {name: float(value) for name, value in row.items() if name not in ("answer", "coin") and value != "none"}


def answered(path: str, answer: Path, **account: Any) -> Serving:
    """A service with one account, which gets this answer."""
    exchange = Exchange(limits=UNLIMITED)
    held = exchange.add_account("main", unified={})
    result = json.loads(answer.read_text())["result"]
    held.faults[path] = faults.Mutate(lambda envelope: envelope.update(result=result))
    return Serving(exchange, account_for(held, account_type=AccountType.UNIFIED, **account))


@pytest.mark.parametrize("name", [row["answer"] for row in rows(ACCOUNT_WIDE)])
def test_answer_of_a_unified_account_has_these_figures(name: str) -> None:
    coins = {row["coin"]: stated(row) for row in rows(COINS) if row["answer"] == name}
    (account_wide,) = [stated(row) for row in rows(ACCOUNT_WIDE) if row["answer"] == name]
    metrics = [column for column in rows(COINS)[0] if column not in ("answer", "coin")]
    with answered(WALLET_BALANCE, GOLDEN / name / "answer.json") as serving:
        serving.wait_for(1.0, "bybit_up")
        samples = serving.samples()
    shown_coins: dict[str, dict[str, float]] = {}
    shown_account: dict[str, float] = {}
    for (metric, labels), value in samples.items():
        field = metric.removeprefix("bybit_asset_")
        if metric.startswith("bybit_asset_") and field in metrics:
            shown_coins.setdefault(dict(labels)["coin"], {})[field] = value
        if metric.startswith("bybit_account_") and metric != "bybit_account_status":
            shown_account[metric.removeprefix("bybit_account_")] = value
    assert shown_coins == coins
    assert shown_account == account_wide


def test_products_have_these_figures() -> None:
    with answered(ASSET_OVERVIEW, ANSWERS / "products.json", products=True) as serving:
        serving.wait_for(1.0, "bybit_products_up")
        assert serving.series("bybit_product_equity", "account", "product", "category", "coin") == {
            ("main", "Earn", "Easy Earn", "BTC"): 0.3,
            ("main", "Earn", "Easy Earn", "USDT"): 3000.0,
            ("main", "CryptoLoans", "", "USDT"): -500.0,
        }
        assert serving.series("bybit_product_equity_usd", "account", "product") == {
            ("main", "Earn"): 21000.0,
            ("main", "CryptoLoans"): -500.0,
        }
        assert serving.value("bybit_products_snapshot_timestamp_seconds") == 1789999990


def test_equity_of_subaccounts_has_these_figures() -> None:
    serving = answered(MEMBERS_ASSETS, ANSWERS / "members.json", subaccounts=True)
    serving.main.add_member("desk", uid=1000002)
    serving.main.add_member("", uid=1000003)
    with serving:
        serving.wait_for(1.0, "bybit_subaccount_equity_up")
        assert serving.series("bybit_subaccount_equity_usd", "account", "subaccount", "wallet") == {
            ("main", "desk", "FUND"): 20.0,
            ("main", "desk", "UNIFIED"): 40.0,
            ("main", "1000003", "FUND"): 3.0,
        }
