"""placeholder until the readers' branch is merged"""

from ..model import Account, Products
from .client import Answer, Client


def read_products(client: Client, account: Account) -> Answer[Products]:
    """Placeholder."""
    raise NotImplementedError
