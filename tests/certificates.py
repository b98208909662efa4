"""The certificates of the tests, and what clients make of them."""

from __future__ import annotations

import ssl
from pathlib import Path

FIXTURES = Path(__file__).parent / "web_config"
CA = FIXTURES / "ca.crt"


def client_context(certificate: str = "") -> ssl.SSLContext:
    """Trusts the tests' authority; shows one of the tests' certificates, if one is named."""
    context = ssl.create_default_context(cafile=str(CA))
    if certificate:
        context.load_cert_chain(FIXTURES / f"{certificate}.crt", FIXTURES / f"{certificate}.key")
    return context
