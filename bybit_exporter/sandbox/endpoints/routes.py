"""The types of endpoints: a handler, and the conditions under which it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bybit_exporter.sandbox.exchange import Account, Exchange
from bybit_exporter.sandbox.limits import RateLimit

Query = Mapping[str, str]

Answer = tuple[str, dict[str, Any]]
"""``retMsg`` and ``result`` of an answer."""


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """An endpoint that needs no key."""

    handler: Callable[[Exchange, Query], Answer]


@dataclass(frozen=True, slots=True)
class PrivateRoute:
    """An endpoint that needs a key, with its rate limit for each UID."""

    handler: Callable[[Account, Query], Answer]
    limit: RateLimit
    master_only: bool = False
    #: The key must have one of these permissions of the kind ``Wallet``.
    wallet_permissions: tuple[str, ...] = ()

    def allows(self, account: Account) -> bool:
        """Whether the account and its key may use the endpoint."""
        if self.master_only and account.parent is not None:
            return False
        return not self.wallet_permissions or account.key.has_permission("Wallet", *self.wallet_permissions)
