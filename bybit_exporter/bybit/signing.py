"""Signatures of private requests.

https://bybit-exchange.github.io/docs/v5/guide#authentication
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from .. import rsa


def sign(secret: str, text: str) -> str:
    """Signs ``timestamp + key + recv_window + query_string``: with RSA if the secret is a PEM text, else with HMAC."""
    if secret.startswith(rsa.PEM_PREFIX):  # the user has created the key: PKCS #1 v1.5 over SHA-256, in base64
        return base64.b64encode(rsa.sign(secret, text.encode())).decode()
    return hmac.digest(secret.encode(), text.encode(), hashlib.sha256).hex()
