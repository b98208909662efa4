"""placeholder until the readers' branch is merged"""

from decimal import Decimal

from ..model import Account
from .client import Answer, Client


def read_risk_frozen(client: Client, account: Account) -> Answer[Decimal]:
    """Placeholder."""
    raise NotImplementedError
