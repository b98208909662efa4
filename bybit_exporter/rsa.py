"""RSA private keys, used instead of a secret: the exchange holds only the public key.

`cryptography` is imported only when there is such a key.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

PEM_PREFIX = "-----BEGIN"


@lru_cache(maxsize=8192)
def private_key(pem: str) -> RSAPrivateKey:
    """Reads a private key from a PEM text.

    Raises:
        ValueError: the key cannot be used. The message does not quote it.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise ValueError("is a private key with a passphrase; give one without") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("begins like a PEM file, but holds no private key") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("is a private key of another kind than RSA; only RSA keys can sign requests")
    return key


def sign(pem: str, text: bytes) -> bytes:
    """Signs with PKCS #1 v1.5 over SHA-256."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    return private_key(pem).sign(text, PKCS1v15(), SHA256())
