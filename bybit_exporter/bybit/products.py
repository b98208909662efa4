"""Assets outside the wallets: Earn, trading bots, copy trading, loans and so on."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from ..model import Account, ProductEquity, Products
from .amounts import ZERO, NonEmptyText, amount, plus
from .client import Answer, Client
from .errors import MALFORMED, BybitError

ASSET_OVERVIEW_PATH = "/v5/asset/asset-overview"

WALLETS = frozenset({"FundingAccount", "UnifiedTradingAccount"})
"""Entries of the answer that are not products, since they have their own metrics."""

_MAX_TIMESTAMP_DIGITS = 15


class ExtraFields(msgspec.Struct, rename="camel"):
    """Further fields of a coin: on-chain liquidity positions state their amount in another unit than the coin."""

    equity_unit: str | None = None


class CoinDetail(msgspec.Struct, rename="camel"):
    """Amount of one coin, as a decimal string. It is negative for loans."""

    coin: NonEmptyText
    equity: str
    ext_map: ExtraFields | None = None


class Category(msgspec.Struct, rename="camel"):
    """One part of a product."""

    category: str | None = None
    coin_detail: list[CoinDetail] | None = None


class Product(msgspec.Struct, rename="camel"):
    """One product, with either its parts or its coins."""

    account_type: NonEmptyText
    total_equity: str | None = None
    valuation_currency: str | None = None
    snapshot_time: str | None = None
    coin_detail: list[CoinDetail] | None = None
    categories: list[Category] | None = None


class AssetOverviewResult(msgspec.Struct):
    """https://bybit-exchange.github.io/docs/v5/asset/balance/asset-overview"""

    entries: list[Product] | None = msgspec.field(name="list")


def read_products(client: Client, account: Account) -> Answer[Products]:
    """Reads the account's assets outside its wallets.

    Bybit describes this for the keys of master accounts. The key of a subaccount may get the assets of its master.

    Raises:
        BybitError: the request failed; ``account_mode`` where the exchange does not offer this, as on regional hosts.
    """
    answer = client.get(ASSET_OVERVIEW_PATH, {}, AssetOverviewResult, account)
    return answer.with_result(products(answer.result))


def products(result: AssetOverviewResult) -> Products:
    """Converts a valid answer. Empty figures are left out.

    Amounts of a coin that is listed twice in the same part of a product are added. So are products that are listed
    twice.

    Raises:
        BybitError: ``malformed``, if an amount is not a finite decimal number or a time is not a number.
    """
    equities: dict[tuple[str, str, str], Decimal] = {}
    usd: dict[str, Decimal | None] = {}
    timestamps: list[float | None] = []
    for index, entry in enumerate(result.entries or ()):
        if entry.account_type in WALLETS:
            continue
        product = entry.account_type
        try:
            coins, value = list(_coins(entry)), _usd(entry)
            for category, coin, equity, field in coins:
                key = (product, category, coin)
                equities[key] = plus(equities.get(key, ZERO), equity, field)
            before = usd.get(product, ZERO)
            usd[product] = None if before is None or value is None else plus(before, value, "totalEquity")
            timestamps.append(_timestamp(entry) if coins or value is not None else None)
        except BybitError as error:
            error.prefix_path(f"result.list[{index}]")
            raise
    return Products(
        equities=tuple(ProductEquity(*key, equity) for key, equity in equities.items()),
        usd={product: value for product, value in usd.items() if value is not None},
        snapshot_timestamp=min((each for each in timestamps if each is not None), default=None),
    )


def _coins(entry: Product) -> Iterator[tuple[str, str, Decimal, str]]:
    """Category, coin, amount, and path of the amount. If a product has parts, they list its coins."""
    parts = [(f"categories[{index}].", part) for index, part in enumerate(entry.categories or ())]
    for path, part in parts or [("", Category("", entry.coin_detail))]:
        for index, detail in enumerate(part.coin_detail or ()):
            field = f"{path}coinDetail[{index}].equity"
            equity = amount(detail.equity, field)
            unit = detail.ext_map.equity_unit if detail.ext_map else None
            if detail.equity and unit in (None, "", detail.coin):
                yield part.category or "", detail.coin, equity, field


def _usd(entry: Product) -> Decimal | None:
    """The value of a product in US dollars. None if the exchange states none, or states it in another currency."""
    value = amount(entry.total_equity or "", "totalEquity")
    return value if entry.total_equity and entry.valuation_currency == "USD" else None


def _timestamp(entry: Product) -> float | None:
    """Unix time of the figures of a product. None if the exchange states none."""
    text = entry.snapshot_time or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_TIMESTAMP_DIGITS):
        raise BybitError(MALFORMED, "snapshotTime: not a time in milliseconds")
    return int(text) / 1000 or None
