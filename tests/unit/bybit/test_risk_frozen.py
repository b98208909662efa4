"""The reader of the amount frozen because of risk."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bybit_exporter.bybit.risk_frozen import read_risk_frozen
from bybit_exporter.model import FailureReason
from tests.unit.bybit.fake_exchange import MAIN, Exchange, refusal

FUND = {"coin": "USDT", "withdrawableAmount": "95.5", "availableBalance": "100"}


def answered(amount: Any) -> dict[str, Any]:
    return {"limitAmountUsd": amount, "withdrawableAmount": {"FUND": FUND}}


@pytest.mark.parametrize("amount", ["0", "52853.5551", "0.00000001"])
def test_risk_frozen_amount_is_read_with_one_request(amount: str) -> None:
    exchange = Exchange(answered(amount))
    assert read_risk_frozen(exchange.client, MAIN).result == Decimal(amount)
    assert exchange.asked == [("/v5/asset/withdraw/withdrawable-amount", {"coin": ["USDT"]})]


def test_risk_frozen_amount_that_is_empty_is_0() -> None:
    assert read_risk_frozen(Exchange(answered("")).client, MAIN).result == 0


@pytest.mark.parametrize("result", [answered("much"), answered(0), answered(None), {}])
def test_risk_frozen_amount_that_is_missing_or_no_number_is_malformed(result: dict[str, Any]) -> None:
    error = refusal(read_risk_frozen, Exchange(result))
    assert error.reason is FailureReason.MALFORMED
    assert str(error).startswith("result.limitAmountUsd: ")
