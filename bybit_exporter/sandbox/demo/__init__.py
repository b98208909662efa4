"""The made-up accounts behind ``--demo``: one of each kind, and one that is banned now and then.

Nothing runs in the background. Whenever an account is asked, it catches up with the clock in small steps,
each with a random generator of its own, so the figures are a function of the seed and of the time passed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from bybit_exporter.sandbox.accounts import Account
from bybit_exporter.sandbox.demo.groups import Group, found_group
from bybit_exporter.sandbox.demo.market import DAY, Market
from bybit_exporter.sandbox.demo.steps import CatchUp, Moods, Valued
from bybit_exporter.sandbox.demo.traders import SpotBook, Trader, UnifiedBook
from bybit_exporter.sandbox.demo.treasurers import Treasurer, Vault
from bybit_exporter.sandbox.exchange import Exchange
from bybit_exporter.sandbox.wallets import FundingHolding, Holding, UnifiedHolding

TRADING = {
    "BTC": Holding("1.284350"),
    "ETH": Holding("26.53485"),
    "SOL": Holding("562.750"),
    "XRP": Holding("158250.00"),
    "USDT": Holding("86420.55"),
}
TREASURY = {"BTC": Holding("24.500000"), "ETH": Holding("310.00000"), "USDT": Holding("1250000.00")}
ON_AND_OFF = {"BTC": Holding("0.250000", "0.050000"), "USDT": Holding("5300.00", "1200.00")}

#: XRP is borrowed, and not traded.
MARGIN = {
    "BTC": UnifiedHolding("0.842100"),
    "ETH": UnifiedHolding("14.20550"),
    "SOL": UnifiedHolding("310.400"),
    "XRP": UnifiedHolding("-1500.00", borrow_amount="1500.00"),
    "USDC": UnifiedHolding("12500.00"),
    "USDT": UnifiedHolding("48210.75"),
}
#: GIFT is a coin that nobody has a price for.
VAULT = {
    "BTC": FundingHolding("8.250000"),
    "USDC": FundingHolding("150000.00"),
    "USDT": FundingHolding("420000.00", "417500.00"),
    "GIFT": FundingHolding("2500"),
}
VAULT_FEES = {"BTC": "0.0002", "USDC": "1", "USDT": "1"}
GROUP = {"BTC": UnifiedHolding("2.100000"), "USDC": UnifiedHolding("40000.00"), "USDT": UnifiedHolding("65000.00")}

#: As which type each account is configured, unless it is SPOT.
ACCOUNT_TYPES = {"margin": "UNIFIED", "vault": "FUND", "group": "auto"}

#: The one key that is not bound to an address, and so expires.
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

    add("trading", CatchUp(Trader(SpotBook()), f"{seed}/trading", start), holdings=TRADING)
    add("treasury", CatchUp(Treasurer(TREASURY), f"{seed}/treasury", start), holdings=TREASURY)
    add("banned-now-and-then", Moods(start), holdings=ON_AND_OFF)
    margin = Trader(UnifiedBook(), ("BTC", "ETH", "SOL"))
    add("margin", Valued(CatchUp(margin, f"{seed}/margin", start)), unified=MARGIN)
    add("vault", CatchUp(Vault(VAULT, VAULT_FEES, start), f"{seed}/vault", start), unified={}, funding=VAULT)
    found_group(add("group", Valued(CatchUp(Group(), f"{seed}/group", start)), unified=GROUP))
    return exchange


def configuration_of(exchange: Exchange) -> list[dict[str, Any]]:
    """With what the exporter polls every account of the exchange, key by key as in its configuration file."""
    return [
        {
            "name": account.name,
            "account_type": ACCOUNT_TYPES.get(account.name, "SPOT"),
            "api_key": account.api_key,
            "api_secret": account.api_secret,
            **({"subaccounts": {"balances": "FUND"}} if account.members else {}),
        }
        for account in exchange.accounts.values()
    ]


def configuration(exchange: Exchange, base_url: str) -> str:
    """The same as YAML, with all that the exporter needs besides."""
    lines = [
        "# The figures are invented: this is the exporter's embedded exchange, not Bybit.",
        "poll_interval: 5s",
        "api:",
        f"  base_url: {json.dumps(base_url)}",
        "accounts:",
    ]
    for account in configuration_of(exchange):
        lines += [
            f"  - name: {json.dumps(account['name'])}",
            f"    account_type: {account['account_type']}",
            f"    api_key: {json.dumps(account['api_key'])}",
            f"    api_secret: {json.dumps(account['api_secret'])}",
        ]
        if "subaccounts" in account:
            lines.append(f"    subaccounts: {{balances: {account['subaccounts']['balances']}}}")
    return "\n".join(lines) + "\n"
