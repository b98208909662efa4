"""The metrics of all resources but the wallets, one row each. They are rendered when a result changes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, SupportsFloat, TypeVar

from ..model import Balance, Resource, SubaccountStatus
from .account_families import amounts_of
from .exposition import Family, Samples, label, optional
from .state import Cached

T = TypeVar("T")


def _up(name: str, help_text: str, *labels: str) -> Family[Cached[Any]]:
    return Family(name, "gauge", help_text, labels, optional(lambda cached: cached.up))


def _value_of(name: str, help_text: str, read: Callable[[T], SupportsFloat | None]) -> Family[Cached[T]]:
    return Family(
        name, "gauge", help_text, ("account",), optional(lambda c: None if c.value is None else read(c.value))
    )


def _of_subaccount(name: str, help_text: str, field: str) -> Family[Cached[Sequence[Balance]]]:
    amounts, typed = amounts_of(field), label("account_type", "FUND")

    def samples(cached: Cached[Sequence[Balance]]) -> Samples:
        return [(typed + coin, amount) for coin, amount in amounts(cached.value)]

    return Family(name, "gauge", help_text, ("account", "account_type", "subaccount", "coin"), samples)


RESOURCE_FAMILIES: Mapping[Resource, tuple[Family[Cached[Any]], ...]] = {
    Resource.API_KEY: (
        _value_of(
            "bybit_api_key_read_only",
            "1 if the account's key can only read, else 0 (Bybit: readOnly).",
            lambda k: k.read_only,
        ),
        _value_of(
            "bybit_api_key_withdraw",
            "1 if the account's key may withdraw, else 0 (Bybit: Withdraw in permissions.Wallet, readOnly 0).",
            lambda k: k.can_withdraw,
        ),
        _value_of(
            "bybit_api_key_ip_bound",
            "1 if the account's key is bound to IP addresses, else 0 (Bybit: ips).",
            lambda k: k.ip_bound,
        ),
        _value_of(
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
            lambda cached: (
                (label("subaccount", each.name) + label("status", status), status is each.status)
                for each in cached.value or ()
                for status in SubaccountStatus
            ),
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
    Resource.SUBACCOUNT_EQUITY: (
        Family(
            "bybit_subaccount_equity_usd",
            "gauge",
            "Value of a wallet of a subaccount, in US dollars; none where the exchange marks it as incomplete (Bybit:"
            " total-members-assets, origb).",
            ("account", "subaccount", "wallet"),
            lambda cached: [
                (label("subaccount", each.subaccount) + label("wallet", each.wallet), float(each.usd))
                for each in cached.value or ()
            ],
        ),
        _up(
            "bybit_subaccount_equity_up",
            "1 if the latest reading of the value of the subaccounts succeeded, else 0; none where the exchange does"
            " not offer it.",
            "account",
        ),
    ),
    Resource.PRODUCTS: (
        Family(
            "bybit_product_equity",
            "gauge",
            "Equity in a product outside the wallets, in units of the coin; negative: a loan (Bybit: asset-overview,"
            " equity).",
            ("account", "product", "category", "coin"),
            lambda cached: [
                (label("product", e.product) + label("category", e.category) + label("coin", e.coin), float(e.equity))
                for e in (cached.value.equities if cached.value else ())
            ],
        ),
        Family(
            "bybit_product_equity_usd",
            "gauge",
            "Equity in a product outside the wallets, in US dollars; negative: a loan (Bybit: asset-overview,"
            " totalEquity).",
            ("account", "product"),
            lambda cached: [
                (label("product", product), float(usd))
                for product, usd in (cached.value.usd if cached.value else {}).items()
            ],
        ),
        _up(
            "bybit_products_up",
            "1 if the latest reading of the products succeeded, else 0; none where the exchange does not offer it.",
            "account",
        ),
        _value_of(
            "bybit_products_snapshot_timestamp_seconds",
            "Unix time of the oldest figure of the products (Bybit: snapshotTime).",
            lambda products: products.snapshot_timestamp,
        ),
    ),
    Resource.RISK_FROZEN: (
        _value_of(
            "bybit_account_risk_frozen_usd",
            "Funds of the whole account that cannot be withdrawn because of risk, in US dollars (Bybit, FUND:"
            " limitAmountUsd).",
            float,
        ),
        _up(
            "bybit_risk_frozen_up",
            "1 if the latest reading of the funds held back succeeded, else 0; none where the exchange does not offer"
            " it, or not to this key.",
            "account",
        ),
    ),
    Resource.PRICES: (_up("bybit_prices_up", "1 if the latest reading of the prices succeeded, else 0."),),
}

COIN_PRICE: Family[Mapping[str, float]] = Family(
    "bybit_coin_price_usd",
    "gauge",
    "Price of a coin that has a balance series, in US dollars (Bybit: usdIndexPrice, else lastPrice in USDT).",
    ("coin",),
    lambda prices: ((label("coin", coin), price) for coin, price in prices.items()),
)


def render_resource(resource: Resource, account: str, subaccount: str, cached: Cached[Any]) -> tuple[bytes, ...]:
    """The sample lines of a resource, one entry for each of its families."""
    labels = (label("account", account) if account else "") + (label("subaccount", subaccount) if subaccount else "")
    return tuple(family.lines(labels, cached) for family in RESOURCE_FAMILIES[resource])
