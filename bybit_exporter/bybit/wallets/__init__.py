"""The wallets: a module for each account type, with its request, its schema, and a function from answer to snapshot.

A poll is one request, however many coins are configured.
"""

from __future__ import annotations

from ...model import Account, AccountSnapshot, AccountType
from ..client import Answer, Client
from .account_mode import find_account_type
from .fund import read_fund
from .spot import read_spot
from .unified import read_unified

__all__ = ["find_account_type", "read_wallet"]

_READERS = {AccountType.SPOT: read_spot, AccountType.UNIFIED: read_unified, AccountType.FUND: read_fund}


def read_wallet(client: Client, account: Account, account_type: AccountType) -> Answer[AccountSnapshot]:
    """Reads the wallet of this type (not ``auto``), whole or not at all. Raises BybitError for any failure."""
    return _READERS[account_type](client, account)
