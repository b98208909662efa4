"""The accounts of the demo: their figures at the start, and the behaviour that changes each of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from bybit_exporter.sandbox.demo.derivatives import (
    LEVERAGED,
    grow_products,
    move_isolated_position,
    move_maintenance_ratio,
    spot_short,
)
from bybit_exporter.sandbox.demo.market import DAY, Market
from bybit_exporter.sandbox.demo.steps import CatchUp, OncePerStep, StatusCycle
from bybit_exporter.sandbox.demo.subaccounts import SubaccountTransfers, add_subaccounts
from bybit_exporter.sandbox.demo.trading import SpotBook, Trading, UnifiedBook
from bybit_exporter.sandbox.demo.withdrawing import FundingWithdrawals, SpotWithdrawals
from bybit_exporter.sandbox.exchange import Account, Exchange
from bybit_exporter.sandbox.wallets import FundingHolding, Holding, UnifiedHolding

TRADING = {
    "BTC": Holding("1.284350"),
    "ETH": Holding("26.53485"),
    "SOL": Holding("562.750"),
    "XRP": Holding("158250.00"),
    "USDT": Holding("86420.55"),
}
TREASURY = {"BTC": Holding("24.500000"), "ETH": Holding("310.00000"), "USDT": Holding("1250000.00")}
BANNED_AT_TIMES = {"BTC": Holding("0.250000", "0.050000"), "USDT": Holding("5300.00", "1200.00")}

#: XRP is a debt from derivatives. It is not traded.
MARGIN = {
    "BTC": UnifiedHolding("0.842100"),
    "ETH": UnifiedHolding("14.20550"),
    "SOL": UnifiedHolding("310.400"),
    "XRP": UnifiedHolding("-1500.00"),
    "USDC": UnifiedHolding("12500.00"),
    "USDT": UnifiedHolding("48210.75"),
}
#: GIFT is a coin without a price.
VAULT = {
    "BTC": FundingHolding("8.250000"),
    "USDC": FundingHolding("150000.00"),
    "USDT": FundingHolding("420000.00", "417500.00"),
    "GIFT": FundingHolding("2500"),
}
VAULT_FEES = {"BTC": "0.0002", "USDC": "1", "USDT": "1"}
GROUP = {"BTC": UnifiedHolding("2.100000"), "USDC": UnifiedHolding("40000.00"), "USDT": UnifiedHolding("65000.00")}
EARN = {"BTC": UnifiedHolding("0.350000"), "USDT": UnifiedHolding("18000.00")}
EARN_FUNDING = {"USDT": FundingHolding("5950.00")}

#: The only key that is not bound to an address, and so expires.
UNBOUND, EXPIRES_AFTER = "vault", 60 * DAY


def demo_exchange(
    clock: Callable[[], float] = time.time,
    seed: str = "demo",
    credentials: Mapping[str, tuple[str, str]] | None = None,
) -> Exchange:
    """An exchange with the demo's accounts. Keys and secrets are random unless given by account name."""
    exchange = Exchange(clock)
    exchange.behaviour = Market()
    start = clock()

    def add(name: str, behaviour: Callable[[Account, float], None], **wallets: Any) -> Account:
        key, secret = (credentials or {}).get(name, (None, None))
        account = exchange.add_account(name, **wallets, api_key=key, api_secret=secret)
        account.behaviour = behaviour
        account.key.ips = ("*",) if name == UNBOUND else ("127.0.0.1", "::1")
        account.key.expires_at = start + EXPIRES_AFTER if name == UNBOUND else None
        return account

    add("trading", CatchUp(Trading(SpotBook()), f"{seed}/trading", start), holdings=TRADING)
    add("treasury", CatchUp(SpotWithdrawals(TREASURY), f"{seed}/treasury", start), holdings=TREASURY)
    add("banned-now-and-then", StatusCycle(start), holdings=BANNED_AT_TIMES)
    margin = Trading(UnifiedBook(), ("BTC", "ETH", "SOL"))
    add("margin", CatchUp(margin, f"{seed}/margin", start), unified=MARGIN)
    vault = FundingWithdrawals(VAULT, VAULT_FEES, start)
    add("vault", CatchUp(vault, f"{seed}/vault", start), unified={}, funding=VAULT)
    add_subaccounts(add("group", CatchUp(SubaccountTransfers(), f"{seed}/group", start), unified=GROUP))
    add("isolated", OncePerStep(move_isolated_position), unified={}).margin_mode = "ISOLATED_MARGIN"
    add("short", OncePerStep(spot_short(start)), unified={})
    earn = add("earn", OncePerStep(grow_products(start)), unified=EARN, funding=EARN_FUNDING)
    grow_products(start)(earn, start)
    add("leveraged", OncePerStep(move_maintenance_ratio(start)), unified=LEVERAGED)
    return exchange
