"""Endpoints about a key and its account."""

from __future__ import annotations

from datetime import UTC, datetime

from bybit_exporter.sandbox.endpoints.routes import Answer, Query
from bybit_exporter.sandbox.exchange import Account
from bybit_exporter.sandbox.holders import CLASSIC

DAY = 86_400

#: The values for a key that does not expire.
NEVER, NO_DEADLINE = "1970-01-01T00:00:00Z", -2


def key_info(account: Account, _: Query) -> Answer:
    """https://bybit-exchange.github.io/docs/v5/user/apikey-info"""
    key, expires_at = account.key, account.key.expires_at
    deadline = NO_DEADLINE if expires_at is None else int((expires_at - account.exchange.now()) // DAY)
    return "", {
        "id": str(account.uid),
        "note": key.note,
        "apiKey": key.api_key,
        "readOnly": int(key.read_only),
        "secret": "",
        "permissions": {kind: list(names) for kind, names in key.permissions.items()},
        "ips": list(key.ips),
        "type": 1,
        "deadlineDay": deadline,
        "expiredAt": NEVER if expires_at is None else _date(expires_at),
        "createdAt": _date(key.created_at),
        "unified": 0,
        "uta": int(account.mode == "unified"),
        "userID": account.uid,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": key.rsa_public_key,
        "isMaster": account.parent is None,
        "parentUid": "0" if account.parent is None else str(account.parent.uid),
        "kycLevel": "LEVEL_DEFAULT",
        "kycRegion": "",
        "userIDInt64": str(account.uid),
        "inviterIDInt64": "0",
        "affiliateIDInt64": "0",
    }


def account_info(account: Account, _: Query) -> Answer:
    """https://bybit-exchange.github.io/docs/v5/account/account-info"""
    return "OK", {
        "unifiedMarginStatus": account.unified_margin_status if account.mode == "unified" else CLASSIC,
        "marginMode": account.margin_mode,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
        "updatedTime": str(round(account.key.created_at * 1000)),
        "dcpStatus": "OFF",
        "timeWindow": 0,
        "smpGroup": 0,
    }


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
