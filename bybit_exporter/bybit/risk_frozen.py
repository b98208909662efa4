"""The amount that cannot be withdrawn because the exchange has frozen it for risk."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ..model import Account
from .amounts import amount
from .client import Answer, Client

WITHDRAWABLE_AMOUNT_PATH = "/v5/asset/withdraw/withdrawable-amount"


class WithdrawableAmountResult(msgspec.Struct, rename="camel"):
    """https://bybit-exchange.github.io/docs/v5/asset/balance/delay-amount"""

    limit_amount_usd: str


def read_risk_frozen(client: Client, account: Account) -> Answer[Decimal]:
    """Reads the amount frozen because of risk, in US dollars, over all coins and wallets of the account.

    The request must name a coin, but the amount is the same for every coin.

    Raises:
        BybitError: the request failed; ``auth`` where the key may not read this; ``malformed`` if the amount is not a
            finite decimal number.
    """
    answer = client.get(WITHDRAWABLE_AMOUNT_PATH, {"coin": "USDT"}, WithdrawableAmountResult, account)
    return answer.with_result(amount(answer.result.limit_amount_usd, "result.limitAmountUsd"))
