"""API keys: their permissions, addresses and expiry."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field

ANYWHERE = ("*",)

#: The permissions of a key, as ``/v5/user/query-api`` lists them.
MASTER_PERMISSIONS: Mapping[str, tuple[str, ...]] = {
    "ContractTrade": ("Order", "Position"),
    "Spot": ("SpotTrade",),
    "Wallet": ("AccountTransfer", "SubMemberTransfer"),
    "Options": ("OptionsTrade",),
    "Derivatives": ("DerivativesTrade",),
    "CopyTrading": (),
    "BlockTrade": (),
    "Exchange": ("ExchangeHistory",),
    "NFT": (),
    "Affiliate": (),
    "Earn": ("Earn",),
    "FiatP2P": (),
    "FiatConvertBroker": (),
    "FiatGlobalPay": (),
    "FiatBitPay": (),
    "BitCard": (),
    "ByXPost": (),
}
MEMBER_PERMISSIONS: Mapping[str, tuple[str, ...]] = {
    **MASTER_PERMISSIONS,
    "Wallet": ("AccountTransfer", "SubMemberTransferList"),
}


@dataclass
class Key:
    """One API key. Attributes may be changed at any time."""

    api_key: str
    api_secret: str
    created_at: float
    read_only: bool = True
    permissions: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MASTER_PERMISSIONS)
    #: The addresses that the key is bound to. Requests from others are refused with 10010.
    ips: tuple[str, ...] = ANYWHERE
    #: None: the key does not expire. On the real exchange, only keys that are bound to addresses do not.
    expires_at: float | None = None
    note: str = ""
    #: The public key of a key that signs with RSA. ``account.verify`` must then check with it.
    rsa_public_key: str = ""

    def allows_address(self, source: str) -> bool:
        """Whether requests may come from this address."""
        return self.ips == ANYWHERE or source in self.ips

    def has_permission(self, kind: str, *names: str) -> bool:
        """Whether the key has one of these permissions."""
        return not set(names).isdisjoint(self.permissions.get(kind, ()))

    def grant(self, kind: str, name: str) -> None:
        """Give the key one more permission, such as ``grant("Wallet", "Withdraw")``."""
        self.permissions = {**self.permissions, kind: (*self.permissions.get(kind, ()), name)}

    def __repr__(self) -> str:
        return f"Key(read_only={self.read_only}, ips={self.ips}, expires_at={self.expires_at})"


def random_text(length: int) -> str:
    """Random letters and digits, as in the exchange's keys and secrets."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))
