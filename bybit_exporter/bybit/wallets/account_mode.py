"""Finds the account type of an account, for ``account_type: auto``."""

from __future__ import annotations

import msgspec

from ...model import Account, AccountType
from ..client import Client

ACCOUNT_INFO_PATH = "/v5/account/info"

CLASSIC = 1
"""The ``unifiedMarginStatus`` of a classic account. All others are unified."""


class AccountInfo(msgspec.Struct, rename="camel"):
    """https://bybit-exchange.github.io/docs/v5/account/account-info"""

    unified_margin_status: int


def find_account_type(client: Client, account: Account) -> AccountType:
    """Asks whether the account is classic (SPOT) or unified (UNIFIED). Raises BybitError for any failure."""
    answer = client.get(ACCOUNT_INFO_PATH, {}, AccountInfo, account)
    return AccountType.SPOT if answer.result.unified_margin_status == CLASSIC else AccountType.UNIFIED
