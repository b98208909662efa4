"""Signatures of private requests.

https://bybit-exchange.github.io/docs/v5/guide#authentication
"""

from __future__ import annotations

import hashlib
import hmac


def sign_hmac(secret: str, text: str) -> str:
    """HMAC-SHA256 of ``timestamp + key + recv_window + query_string``, in lower-case hex."""
    return hmac.digest(secret.encode(), text.encode(), hashlib.sha256).hex()
