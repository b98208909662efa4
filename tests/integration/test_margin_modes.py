"""Unified accounts in every margin mode, and one that is switched to another mode while the exporter runs."""

from __future__ import annotations

import pytest

from bybit_exporter.model import AccountType
from bybit_exporter.sandbox import UNLIMITED, Exchange, MarginMode, UnifiedHolding, faults
from bybit_exporter.sandbox import Account as Held
from tests.in_process import JumpingClock, Serving, account_for
from tests.support import eventually

POSITION = UnifiedHolding("4271", locked="100", position_im="2300", order_im="60", position_mm="40", bonus="6")
RATIO = "bybit_account_maintenance_margin_ratio"
AVAILABLE = "bybit_account_available_balance_usd"


def a_unified_account(mode: MarginMode, **coins: UnifiedHolding) -> Held:
    held = Exchange(limits=UNLIMITED).add_account("main", unified=coins)
    held.margin_mode = mode
    return held


def served(held: Held, **changes: object) -> Serving:
    return Serving(held.exchange, account_for(held, account_type=AccountType.UNIFIED, **changes))


def test_margin_of_a_position_is_frozen_in_isolated_margin() -> None:
    with served(a_unified_account("ISOLATED_MARGIN", USDT=POSITION)) as serving:
        serving.wait_for(1805.0, "bybit_asset_free", coin="USDT")
        assert serving.value("bybit_asset_frozen", coin="USDT") == 2466
        assert serving.value("bybit_asset_initial_margin", coin="USDT") == 2360
        assert serving.value("bybit_asset_maintenance_margin", coin="USDT") == 40
        assert serving.value(RATIO) is None
        assert serving.value(AVAILABLE) is None
        assert serving.value("bybit_account_equity_usd") == 4271


def test_margin_of_a_position_is_the_account_s_in_cross_margin() -> None:
    with served(a_unified_account("REGULAR_MARGIN", USDT=POSITION)) as serving:
        serving.wait_for(4171.0, "bybit_asset_free", coin="USDT")
        assert serving.value("bybit_asset_frozen", coin="USDT") == 100
        assert serving.value("bybit_asset_initial_margin", coin="USDT") == 2360
        assert serving.value(AVAILABLE) == 4271 - 2360
        assert serving.value(RATIO) == pytest.approx(40 / 4271, abs=1e-4)


def test_margin_of_a_coin_is_not_shown_in_portfolio_margin() -> None:
    with served(a_unified_account("PORTFOLIO_MARGIN", USDT=POSITION)) as serving:
        serving.wait_for(4171.0, "bybit_asset_free", coin="USDT")
        assert serving.value("bybit_asset_initial_margin", coin="USDT") is None
        assert serving.value("bybit_asset_maintenance_margin", coin="USDT") is None
        assert serving.value("bybit_account_maintenance_margin_usd") == 40
        assert serving.value(RATIO) == pytest.approx(40 / 4271, abs=1e-4)


def test_figures_follow_a_switch_of_the_margin_mode() -> None:
    held = a_unified_account("ISOLATED_MARGIN", USDT=POSITION)
    with served(held) as serving:
        serving.wait_for(1805.0, "bybit_asset_free", coin="USDT")
        held.margin_mode = "REGULAR_MARGIN"
        serving.wait_for(4171.0, "bybit_asset_free", coin="USDT")
        assert serving.value(RATIO) is not None
        held.margin_mode = "ISOLATED_MARGIN"
        serving.wait_for(1805.0, "bybit_asset_free", coin="USDT")
        assert serving.value(RATIO) is None, "the ratio of another mode is not true of this one"
        assert serving.value("bybit_up") == 1


def test_coin_that_was_borrowed_and_sold_is_a_negative_free_balance() -> None:
    """So an alert on a minimum fires, whether or not the coin is configured."""
    short = UnifiedHolding("0", spot_borrow="0.25", usd_value="-600")
    held = a_unified_account("REGULAR_MARGIN", ETH=short, USDT=UnifiedHolding("2000"))
    with served(held, coins=("ETH", "USDT", "BTC")) as serving:
        serving.wait_for(-0.25, "bybit_asset_free", coin="ETH")
        assert serving.value("bybit_asset_borrowed", coin="ETH") == 0.25
        assert serving.value("bybit_asset_equity", coin="ETH") == -0.25
        assert serving.value("bybit_asset_free", coin="BTC") == 0, "an alert on a minimum needs a series"
        assert sum(serving.series("bybit_asset_usd_value", "coin").values()) == 1400
        assert serving.value("bybit_account_equity_usd") == 1400


def test_borrowing_does_not_hide_a_fall() -> None:
    held = a_unified_account("REGULAR_MARGIN", USDT=UnifiedHolding("1000"))
    with served(held) as serving:
        serving.wait_for(1000.0, "bybit_asset_free", coin="USDT")
        held.unified.update({"USDT": UnifiedHolding("1200", spot_borrow="700")})
        serving.wait_for(500.0, "bybit_asset_free", coin="USDT")
        assert serving.value("bybit_asset_borrowed", coin="USDT") == 700


def test_account_that_owes_more_than_it_has_is_worth_less_than_nothing() -> None:
    debt = UnifiedHolding("-300", usd_value="-300")
    with served(a_unified_account("REGULAR_MARGIN", USDT=debt)) as serving:
        serving.wait_for(-300.0, "bybit_asset_free", coin="USDT")
        assert serving.value("bybit_account_equity_usd") == -300
        assert sum(serving.series("bybit_asset_usd_value", "coin").values()) == -300


def test_margin_ratio_goes_with_the_balances(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock(monkeypatch)
    held = a_unified_account("REGULAR_MARGIN", USDT=POSITION)
    with served(held, stale_after_seconds=60.0) as serving:
        eventually(lambda: serving.value(RATIO))
        held.fault = faults.Status(500)
        serving.wait_for(0.0, "bybit_up")
        clock.jump(50.0)
        assert serving.value(RATIO) is not None
        clock.jump(10.0)
        for name in (RATIO, AVAILABLE, "bybit_account_equity_usd", "bybit_account_unrealised_pnl_usd"):
            assert serving.value(name) is None
        assert serving.series("bybit_asset_free", "coin") == {}
        held.fault = None
        eventually(lambda: serving.value(RATIO))
