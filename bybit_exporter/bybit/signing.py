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
    return sign_rsa(secret, text) if secret.startswith(rsa.PEM_PREFIX) else sign_hmac(secret, text)


def sign_hmac(secret: str, text: str) -> str:
    """HMAC-SHA256 in lower-case hex, for secrets created by the exchange."""
    return hmac.digest(secret.encode(), text.encode(), hashlib.sha256).hex()


def sign_rsa(pem: str, text: str) -> str:
    """RSA (PKCS #1 v1.5) over SHA-256 in base64, for keys created by the user."""
    return base64.b64encode(rsa.sign(pem, text.encode())).decode()
