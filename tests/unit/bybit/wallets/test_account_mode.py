"""The account type that is found for `auto`."""

from __future__ import annotations

import pytest

from bybit_exporter.bybit.wallets import find_account_type
from tests.unit.bybit.fake_exchange import MAIN, Exchange


@pytest.mark.parametrize(
    ("status", "found"), [(1, "SPOT"), (3, "UNIFIED"), (4, "UNIFIED"), (5, "UNIFIED"), (6, "UNIFIED")]
)
def test_account_type_follows_unified_margin_status(status: int, found: str) -> None:
    assert find_account_type(Exchange({"unifiedMarginStatus": status}).client, MAIN) == found
