"""placeholder until the readers' branch is merged"""

from collections.abc import Sequence

from ..model import Account, SubaccountEquity
from .client import Answer, Client


def read_subaccount_equity(client: Client, account: Account) -> Answer[Sequence[SubaccountEquity]]:
    """Placeholder."""
    raise NotImplementedError
