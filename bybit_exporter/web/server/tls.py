"""Makes TLS contexts, and checks certificates and keys."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from ...model import Secret

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

_KEY_PROBLEMS = dict.fromkeys(
    ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED", "NO_PRIVATE_KEY_ASSIGNED"),
    "does not belong to the certificate",
)


@dataclass(frozen=True, slots=True)
class ClientCertificatePolicy:
    """Whether clients must show a certificate, and which certificates are accepted."""

    verify: ssl.VerifyMode = ssl.CERT_NONE
    ca: str | None = None
    """PEM; `None` means the authorities that the system trusts."""
    allowed_sans: frozenset[str] = frozenset()
    """The certificate must have one of these subject alternative names; if empty, any certificate is accepted."""

    def accept(self, certificate: dict[str, Any] | None) -> bool:
        """Whether a certificate that the handshake has verified is accepted."""
        if not self.allowed_sans:
            return True
        names = (certificate or {}).get("subjectAltName", ())
        return any(_plain_name(kind, name) in self.allowed_sans for kind, name in names)


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """A valid ``tls_server_config``, with the contents of its files."""

    certificate: str = field(repr=False)
    key: Secret
    client_certificates: ClientCertificatePolicy = ClientCertificatePolicy()
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: tuple[str, ...] = ()
    """OpenSSL's names of cipher suites for TLS 1.2; if empty, its default. Those of TLS 1.3 are always enabled."""
    curve: str | None = None
    server_preference: bool = True


def server_context(config: TlsConfig) -> ssl.SSLContext:
    """Makes the context for new connections.

    Raises:
        ValueError: the key does not belong to the certificate.
        OSError: the system has no file for them, for example since too many are open.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = config.minimum, config.maximum
    context.set_alpn_protocols(["http/1.1"])
    if not config.server_preference:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if config.ciphers:
        context.set_ciphers(":".join(config.ciphers))
    if config.curve:
        context.set_ecdh_curve(config.curve)
    _load_pair(context, config)
    _verify_clients(context, config.client_certificates)
    return context


def _verify_clients(context: ssl.SSLContext, policy: ClientCertificatePolicy) -> None:
    context.verify_mode = policy.verify
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an intermediate CA in the file is trusted, as Go does
    if policy.ca is not None:
        context.load_verify_locations(cadata=_certificates(policy.ca))
    elif policy.verify != ssl.CERT_NONE:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)


def _load_pair(context: ssl.SSLContext, config: TlsConfig) -> None:
    try:
        with _file_of(config.certificate) as certificate, _file_of(config.key.reveal()) as key:
            context.load_cert_chain(certificate, key, password=lambda: b"")  # never asks at a terminal
    except ssl.SSLError as error:
        raise ValueError(_KEY_PROBLEMS.get(error.reason, "cannot be used by OpenSSL")) from None
    except OSError as error:
        raise OSError(error.errno, f"the certificate cannot be given to OpenSSL: {error.strerror}") from None


@contextmanager
def _file_of(pem: str) -> Iterator[str]:
    """Yields a path to a file with this text, since `ssl` accepts only paths. On Linux it is never written to disk."""
    with _nameless_file() as file:
        file.write(pem.encode())
        file.flush()
        file.seek(0)
        yield f"/dev/fd/{file.fileno()}"


def _nameless_file() -> BinaryIO:
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("pem"), "w+b")
    return tempfile.TemporaryFile()


def check_key(pem: str) -> None:
    """Checks the text of a key. Raises ValueError with the problem."""
    if "ENCRYPTED" in pem:
        raise ValueError("is encrypted; give a key without a passphrase")
    if "PRIVATE KEY-----" not in pem:
        raise ValueError("contains no private key in PEM form")


def _certificates(pem: str) -> str:
    """The certificates of a text, without the comments between them: `ssl` refuses those that are not ASCII."""
    return "\n".join(_CERTIFICATE.findall(pem))


def check_ca(pem: str) -> None:
    """Checks the text of CA certificates. Raises ValueError with the problem."""
    certificates = _certificates(pem)
    if not certificates:
        raise ValueError("contains no certificate in PEM form")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=certificates)
    except (ssl.SSLError, TypeError):  # TypeError: a character that is not ASCII
        raise ValueError("contains a certificate that OpenSSL cannot read") from None


def not_after(pem: str) -> datetime:
    """When the first certificate of the text expires.

    Raises:
        ValueError: there is none, or it cannot be read.
    """
    from cryptography import x509  # takes a while to import, and is needed with TLS only

    match = _CERTIFICATE.search(pem)
    if match is None:
        raise ValueError("contains no certificate in PEM form")
    try:
        return x509.load_pem_x509_certificate(match[0].encode()).not_valid_after_utc
    except (ValueError, x509.InvalidVersion):
        raise ValueError("contains a certificate that cannot be read") from None


def _plain_name(kind: str, name: str) -> str | None:
    """A subject alternative name in its usual form; `None` if ``client_allowed_sans`` cannot name it."""
    if kind == "IP Address":
        try:
            return str(ipaddress.ip_address(name.strip()))  # OpenSSL writes IPv6 in full
        except ValueError:
            return None  # OpenSSL writes "<invalid>" for an address of a wrong length
    return name if kind in ("DNS", "email", "URI") else None
