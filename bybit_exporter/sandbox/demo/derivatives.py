"""Unified accounts whose margin, debts and products follow from the time alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

from bybit_exporter.sandbox.demo.market import DAY, price, rounded_to
from bybit_exporter.sandbox.exchange import Account
from bybit_exporter.sandbox.records import Product
from bybit_exporter.sandbox.wallets import UnifiedHolding

HOUR = 3600.0

#: The position in isolated margin: bought BTC, at which price, secured by which share of its value.
POSITION_BTC, ENTRY_PRICE = Decimal("0.75"), Decimal(64000)
INITIAL_SHARE, MAINTENANCE_SHARE = Decimal("0.1"), Decimal("0.005")

#: The spot short: ETH that was borrowed and sold, what its sale brought, and the interest of an hour.
BORROWED_ETH, PROCEEDS, INTEREST_PER_HOUR = "12.00000", "61250.00", Decimal("0.00006")

#: The leveraged account: its USDT, its margin, and how its maintenance margin ratio moves.
LEVERAGED = {"USDT": UnifiedHolding("15000.00")}
INITIAL_MARGIN, MAINTENANCE_MARGIN = "4400.00", Decimal(4000)
LOWEST_RATIO, HIGHEST_RATIO, CYCLE_SECONDS = 0.3, 0.9, 1500.0


def move_isolated_position(account: Account, now: float) -> None:
    """A long position in BTC, with an open order and a bonus. Profit and loss follow the price."""
    value = POSITION_BTC * price("BTC", now)
    holding = UnifiedHolding(
        "25000.00",
        locked="1200.00",
        unrealised_pnl=_text(value - POSITION_BTC * ENTRY_PRICE),
        order_im="640.00",
        position_im=_text(value * INITIAL_SHARE),
        position_mm=_text(value * MAINTENANCE_SHARE),
        bonus="50.00",
    )
    account.unified.update({"USDT": holding})


def spot_short(start: float) -> Callable[[Account, float], None]:
    """ETH that was borrowed and sold for USDT: the wallet balance is 0, and the interest grows."""

    def update(account: Account, now: float) -> None:
        interest = INTEREST_PER_HOUR * Decimal(max(0.0, now - start) / HOUR + 1)
        borrowed = UnifiedHolding("0", spot_borrow=BORROWED_ETH, accrued_interest=_text(interest, 8))
        account.unified.update({"ETH": borrowed, "USDT": UnifiedHolding(PROCEEDS)})

    return update


def grow_products(start: float) -> Callable[[Account, float], None]:
    """Savings that earn interest, a trading bot and copy trading that win and lose, and a loan."""

    def update(account: Account, now: float) -> None:
        days = Decimal(max(0.0, now - start) / DAY)
        wave = Decimal(math.sin(2 * math.pi * now / HOUR))
        saved, staked = _text(120_000 * (1 + days / 5000), 8), _text(20 * (1 + days / 10_000), 8)
        account.products.update(
            {
                "Earn": Product(
                    categories={"Easy Earn": {"BTC": "1.50000000", "USDT": saved}, "On-Chain Earn": {"ETH": staked}},
                    snapshot_age=20.0,
                ),
                "TradingBot": Product(categories={"Spot Grid": {"USDT": _text(8000 + 250 * wave)}}),
                "CopyTrading": Product(categories={"Classic": {"USDT": _text(5200 - 180 * wave)}}),
                "CryptoLoans": Product({"USDT": "-40000.00"}, snapshot_age=45.0),
            }
        )

    return update


def move_maintenance_ratio(start: float) -> Callable[[Account, float], None]:
    """Losses that bring the maintenance margin ratio past 0.5 and 0.8, and back, every 25 minutes."""

    def update(account: Account, now: float) -> None:
        balance = MAINTENANCE_MARGIN / Decimal(maintenance_ratio(now - start))
        wallet = LEVERAGED["USDT"].wallet_balance
        holding = UnifiedHolding(
            wallet,
            unrealised_pnl=_text(balance - Decimal(wallet)),
            position_im=INITIAL_MARGIN,
            position_mm=_text(MAINTENANCE_MARGIN),
        )
        account.unified.update({"USDT": holding})

    return update


def maintenance_ratio(seconds: float) -> float:
    """The maintenance margin ratio at this time in the cycle (seconds): lowest first, highest after half a cycle."""
    middle, swing = (LOWEST_RATIO + HIGHEST_RATIO) / 2, (HIGHEST_RATIO - LOWEST_RATIO) / 2
    return middle - swing * math.cos(2 * math.pi * seconds / CYCLE_SECONDS)


def _text(amount: Decimal, decimals: int = 2) -> str:
    return format(rounded_to(amount, decimals), "f")
