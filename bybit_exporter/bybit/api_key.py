"""What the exchange says of a key: whether it can do more than read, and until when."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ..model import Account, ApiKey
from .client import Answer, Client, redacts_key
from .errors import MALFORMED, BybitError

API_KEY_PATH = "/v5/user/query-api"

EVERYWHERE = "*"
"""Stands among the addresses of a key that is not bound to any."""


class ApiKeyResult(msgspec.Struct, rename="camel"):
    """https://bybit-exchange.github.io/docs/v5/user/apikey-info"""

    read_only: int
    ips: list[str] | None = None
    expired_at: str | None = None


@redacts_key
def read_api_key(client: Client, account: Account) -> Answer[ApiKey]:
    """What the exchange says of the account's key.

    Raises:
        BybitError: whatever went wrong.
    """
    answer = client.get(API_KEY_PATH, {}, ApiKeyResult, account)
    return answer.with_result(api_key(answer.result))


def api_key(result: ApiKeyResult) -> ApiKey:
    """What a valid answer says.

    Raises:
        BybitError: ``malformed``, if the date at which the key expires is none.
    """
    ips = [ip for ip in result.ips or () if ip]
    return ApiKey(
        read_only=result.read_only == 1,
        can_withdraw=False,
        ip_bound=bool(ips) and EVERYWHERE not in ips,
        expiry_timestamp=_expiry(result.expired_at),
    )


def _expiry(text: str | None) -> float | None:
    """Unix time; None for no date, or the beginning of time, which is written for none."""
    if not text:
        return None
    try:
        timestamp = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise BybitError(MALFORMED, "result.expiredAt: not a date", seen=text) from None
    return timestamp if timestamp > 0 else None
