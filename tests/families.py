"""The table of all metrics but the client library's, in the order of the exposition."""

from __future__ import annotations

from typing import Any

from bybit_exporter.metrics.account_families import ACCOUNT_FAMILIES
from bybit_exporter.metrics.exporter_families import EXPORTER_FAMILIES
from bybit_exporter.metrics.exposition import Family
from bybit_exporter.metrics.resource_families import COIN_PRICE, RESOURCE_FAMILIES

ALL_FAMILIES: tuple[Family[Any], ...] = (
    *ACCOUNT_FAMILIES,
    *(family for families in RESOURCE_FAMILIES.values() for family in families),
    COIN_PRICE,
    *EXPORTER_FAMILIES,
)
