"""The exporter's configuration for the accounts of an exchange, and the total that it must then show."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from bybit_exporter.sandbox.exchange import Exchange

#: The account type in the configuration, and the wallet that it reads. Accounts that are not here are SPOT.
ACCOUNT_TYPES = {
    "margin": ("UNIFIED", "UNIFIED"),
    "vault": ("FUND", "FUND"),
    "group": ("auto", "UNIFIED"),
    "isolated": ("UNIFIED", "UNIFIED"),
    "short": ("UNIFIED", "UNIFIED"),
    "earn": ("UNIFIED", "UNIFIED"),
    "leveraged": ("UNIFIED", "UNIFIED"),
}
SPOT = ("SPOT", "SPOT")


def configuration_of(exchange: Exchange) -> list[dict[str, Any]]:
    """One entry for each account, key by key as in the exporter's configuration file."""
    return [
        {
            "name": account.name,
            "account_type": ACCOUNT_TYPES.get(account.name, SPOT)[0],
            "api_key": account.api_key,
            "api_secret": account.api_secret,
            **({"subaccounts": {"balances": "FUND"}} if account.members else {}),
            **({"products": True} if account.products.rows else {}),
        }
        for account in exchange.accounts.values()
    ]


def configuration(exchange: Exchange, base_url: str) -> str:
    """A whole configuration file, as YAML."""
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
        if "products" in account:
            lines.append("    products: true")
    return "\n".join(lines) + "\n"


def configured_total_usd(exchange: Exchange) -> Decimal:
    """The worth of all wallets in this configuration now: what ``sum(bybit_asset_usd_value)`` must be.

    Compare with a tolerance: the exporter reads prices once a minute, and an account that is banned is not read.
    """
    exchange.advance()
    accounts = exchange.accounts.values()
    return sum((each.total_usd(ACCOUNT_TYPES.get(each.name, SPOT)[1]) for each in accounts), Decimal(0))
