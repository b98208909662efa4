"""Properties of an API key: its permissions, its IP addresses and its expiry."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from ..model import Account, ApiKey
from .client import Answer, Client
from .errors import MALFORMED, BybitError

API_KEY_PATH = "/v5/user/query-api"

ANY_ADDRESS = "*"
"""The only entry in the address list of a key that is not bound to addresses."""

WITHDRAW = "Withdraw"
"""The name of the permission to withdraw."""


class Permissions(msgspec.Struct):
    """The permissions on wallets; those on trading are not read."""

    wallet: list[str] | None = msgspec.field(name="Wallet", default=None)


class ApiKeyResult(msgspec.Struct, rename="camel"):
    """https://bybit-exchange.github.io/docs/v5/user/apikey-info"""

    read_only: int
    ips: list[str] | None = None
    expired_at: str | None = None
    permissions: Permissions | None = None


def read_api_key(client: Client, account: Account) -> Answer[ApiKey]:
    """Reads the properties of the account's key. Raises BybitError for any failure."""
    answer = client.get(API_KEY_PATH, {}, ApiKeyResult, account)
    result = answer.result
    ips = [ip for ip in result.ips or () if ip]
    read_only = result.read_only == 1
    key = ApiKey(
        read_only=read_only,
        ip_bound=bool(ips) and ANY_ADDRESS not in ips,
        expiry_timestamp=_expiry(result.expired_at),
        can_withdraw=False if read_only else _may_withdraw(result.permissions),
    )
    return answer.with_result(key)


def _may_withdraw(permissions: Permissions | None) -> bool | None:
    return None if permissions is None else WITHDRAW in (permissions.wallet or ())


def _expiry(text: str | None) -> float | None:
    """Unix time. None for an empty date and for 1970-01-01, which the exchange writes for keys that do not expire.

    A date without a zone is in UTC.
    """
    if not text:
        return None
    try:
        date = datetime.fromisoformat(text)
        timestamp = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise BybitError(MALFORMED, "result.expiredAt: not a date") from None
    return timestamp if timestamp > 0 else None
