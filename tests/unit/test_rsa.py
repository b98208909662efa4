"""RSA keys: which are taken, and that the signature is the one that pybit makes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from bybit_exporter import rsa as rsa_keys
from bybit_exporter.bybit.signing import sign
from tests.bybit_clients import pybit

PRIVATE_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = PRIVATE_KEY,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption | None = None,
) -> str:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


TEXT = "1658384314791XXXXXXXXXX5000category=option&symbol=BTC-29JUL22-25000-C"


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_rsa_signature_equals_that_of_pybit(form: PrivateFormat) -> None:
    theirs = pybit("_http_manager").generate_signature(True, pem(form=form), TEXT)
    assert sign(pem(form=form), TEXT) == theirs
    assert len(base64.b64decode(theirs)) == 256


def test_secret_that_is_not_pem_signs_with_hmac() -> None:
    assert sign("secret", TEXT) == hmac.new(b"secret", TEXT.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (pem(ec.generate_private_key(ec.SECP256R1())), "another kind than RSA"),
        (pem(encryption=BestAvailableEncryption(b"passphrase")), "with a passphrase"),
        (pem()[:400], "holds no private key"),
        ("-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", "holds no private key"),
    ],
)
def test_text_that_is_not_an_rsa_key_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        rsa_keys.private_key(text)
    assert "MII" not in str(caught.value)


def test_cryptography_is_not_imported_without_an_rsa_key() -> None:
    code = "import sys, bybit_exporter.cli, bybit_exporter.service; print('cryptography' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
