"""What an endpoint is: a function from whoever asks and the query to an answer, and what stands before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bybit_exporter.sandbox.limits import RateLimit

if TYPE_CHECKING:
    from bybit_exporter.sandbox.accounts import Account
    from bybit_exporter.sandbox.exchange import Exchange

Query = Mapping[str, str]

Answer = tuple[str, dict[str, Any]]
"""What an endpoint says: ``retMsg`` and ``result``."""


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """An endpoint for everybody."""

    handler: Callable[[Exchange, Query], Answer]


@dataclass(frozen=True, slots=True)
class PrivateRoute:
    """An endpoint that needs a key, and how often one UID may ask it."""

    handler: Callable[[Account, Query], Answer]
    limit: RateLimit
    master_only: bool = False
    #: The key needs one of these permissions of the kind ``Wallet``.
    wallet_permissions: tuple[str, ...] = ()

    def admits(self, account: Account) -> bool:
        """Whether the account and its key may ask at all."""
        if self.master_only and account.parent is not None:
            return False
        return not self.wallet_permissions or account.key.may("Wallet", *self.wallet_permissions)
