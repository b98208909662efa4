"""TLS contexts and certificates. Handshakes are made in memory; nothing is sent anywhere."""

from __future__ import annotations

import dataclasses
import re
import ssl
from datetime import UTC, datetime

import pytest

from bybit_exporter.model import Secret
from bybit_exporter.web.server import tls
from bybit_exporter.web.server.tls import ClientCertificatePolicy, TlsConfig
from tests.certificates import FIXTURES, client_context


def text(name: str) -> str:
    return (FIXTURES / name).read_text()


SERVER = TlsConfig(text("server.crt"), Secret(text("server.key")))
VERIFIED = ClientCertificatePolicy(ssl.CERT_REQUIRED, text("ca.crt"))


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Makes a handshake and returns both sides. Raises the error of the side that refuses it."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    agreed: set[ssl.SSLObject] = set()
    for side in sides * 4:
        try:
            side.do_handshake()
            agreed.add(side)
        except ssl.SSLWantReadError:
            continue
    assert len(agreed) == 2
    return sides


def test_handshake_succeeds() -> None:
    client, _ = handshake(tls.server_context(SERVER), client_context())
    assert client.version() == "TLSv1.3"


def test_alpn_is_http_1_1() -> None:
    context = client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    client, _ = handshake(tls.server_context(SERVER), context)
    assert client.selected_alpn_protocol() == "http/1.1"


def test_configured_curve_is_the_only_one() -> None:
    server = tls.server_context(dataclasses.replace(SERVER, curve="secp521r1", minimum=ssl.TLSVersion.TLSv1_3))
    client = client_context()
    client.set_ecdh_curve("secp521r1")
    handshake(server, client)
    client.set_ecdh_curve("secp384r1")
    with pytest.raises(ssl.SSLError):
        handshake(server, client)


def test_cipher_suite_that_is_not_configured_is_refused() -> None:
    name = "ECDHE-ECDSA-AES128-GCM-SHA256"
    server = tls.server_context(dataclasses.replace(SERVER, ciphers=(name,), maximum=ssl.TLSVersion.TLSv1_2))
    client, _ = handshake(server, client_context())
    cipher = client.cipher()
    assert cipher
    assert cipher[0] == name
    other = client_context()
    other.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    with pytest.raises(ssl.SSLError, match=r"HANDSHAKE_FAILURE|NO_SHARED_CIPHER"):
        handshake(server, other)


@pytest.mark.parametrize("verify", [ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED])
def test_client_certificate_is_verified(verify: ssl.VerifyMode) -> None:
    rules = dataclasses.replace(VERIFIED, verify=verify)
    server = tls.server_context(dataclasses.replace(SERVER, client_certificates=rules, maximum=ssl.TLSVersion.TLSv1_2))
    _, served = handshake(server, client_context("client"))
    assert rules.accept(served.getpeercert())
    with pytest.raises(ssl.SSLError, match=r"CERTIFICATE_VERIFY_FAILED|UNKNOWN_CA"):
        handshake(server, client_context("foreign_client"))


def test_comments_between_ca_certificates_may_have_any_character() -> None:
    ca = f"# Prüfstelle 1\n{text('foreign_ca.crt')}\n# Prüfstelle 2\n{text('ca.crt')}"
    tls.check_ca(ca)
    rules = ClientCertificatePolicy(ssl.CERT_REQUIRED, ca)
    server = tls.server_context(dataclasses.replace(SERVER, client_certificates=rules))
    for name in ("client", "foreign_client"):
        handshake(server, client_context(name))


def test_ca_certificate_with_a_character_that_is_not_ascii_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^contains a certificate that OpenSSL cannot read$"):
        tls.check_ca(text("ca.crt").replace("MII", "MÏI"))


def test_client_without_a_certificate_is_refused_if_required() -> None:
    optional = dataclasses.replace(VERIFIED, verify=ssl.CERT_OPTIONAL)
    handshake(tls.server_context(dataclasses.replace(SERVER, client_certificates=optional)), client_context())
    required = dataclasses.replace(SERVER, client_certificates=VERIFIED, maximum=ssl.TLSVersion.TLSv1_2)
    with pytest.raises(ssl.SSLError, match=r"PEER_DID_NOT_RETURN_A_CERTIFICATE|HANDSHAKE_FAILURE"):
        handshake(tls.server_context(required), client_context())


@pytest.mark.parametrize("certificate", ["client", "server"])
def test_server_certificate_is_refused_as_client_certificate(certificate: str) -> None:
    server = tls.server_context(
        dataclasses.replace(SERVER, client_certificates=VERIFIED, maximum=ssl.TLSVersion.TLSv1_2)
    )
    if certificate == "client":
        handshake(server, client_context("client"))
    else:
        with pytest.raises(ssl.SSLError, match=r"CERTIFICATE_VERIFY_FAILED|UNSUPPORTED_CERTIFICATE"):
            handshake(server, client_context("server"))


@pytest.mark.parametrize(
    "san", ["prometheus.example", "2001:db8::1", "ops@example.com", "spiffe://example/p", "no.example"]
)
def test_certificate_is_accepted_only_with_an_allowed_name(san: str) -> None:
    rules = dataclasses.replace(VERIFIED, allowed_sans=frozenset({"other.example", san}))
    server = tls.server_context(dataclasses.replace(SERVER, client_certificates=rules))
    _, served = handshake(server, client_context("client"))
    assert rules.accept(served.getpeercert()) == (san != "no.example")


@pytest.mark.parametrize("certificate", [None, {}])
def test_missing_certificate_has_no_allowed_name(certificate: dict[str, str] | None) -> None:
    assert not ClientCertificatePolicy(ssl.CERT_REQUIRED, "", frozenset({"a.example"})).accept(certificate)


@pytest.mark.parametrize("key", ["renewed.key", "rsa.key"])
def test_key_of_another_certificate_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"^does not belong to the certificate$"):
        tls.server_context(dataclasses.replace(SERVER, key=Secret(text(key))))


def test_key_with_a_passphrase_is_refused_without_a_prompt() -> None:
    with pytest.raises(ValueError, match=r"^cannot be used by OpenSSL$"):
        tls.server_context(dataclasses.replace(SERVER, key=Secret(text("encrypted.key"))))


@pytest.mark.parametrize("name", ["server.crt", "ca.crt", "expired.crt", "renewed.crt"])
def test_not_after_equals_that_of_openssl(name: str) -> None:
    decoded = ssl._ssl._test_decode_cert(str(FIXTURES / name))  # type: ignore[attr-defined]
    expected = datetime.fromtimestamp(ssl.cert_time_to_seconds(decoded["notAfter"]), UTC)
    assert tls.not_after(text(name)) == expected


def test_not_after_is_that_of_the_first_certificate() -> None:
    chain = "commentary\n" + text("expired.crt") + text("ca.crt")
    assert tls.not_after(chain) == tls.not_after(text("expired.crt"))


@pytest.mark.parametrize("name", ["server.crt", "rsa.key"])
def test_truncated_certificate_is_refused(name: str) -> None:
    lines = text(name).splitlines()
    cut = "\n".join([lines[0], lines[1], lines[-1]])
    with pytest.raises(
        ValueError, match=re.compile("^contains (no certificate in PEM form|a certificate that cannot)")
    ):
        tls.not_after(cut)


def test_certificate_of_an_unknown_version_is_refused() -> None:
    version_3, version_5 = bytes.fromhex("a003020102"), bytes.fromhex("a003020104")
    der = ssl.PEM_cert_to_DER_cert(text("server.crt"))
    assert version_3 in der
    with pytest.raises(ValueError, match=r"^contains a certificate that cannot be read$"):
        tls.not_after(ssl.DER_cert_to_PEM_cert(der.replace(version_3, version_5, 1)))


def test_invalid_ip_address_of_a_certificate_is_no_allowed_name() -> None:
    policy = ClientCertificatePolicy(ssl.CERT_REQUIRED, "", frozenset({"a.example"}))
    invalid = ("IP Address", "<invalid>")  # OpenSSL writes this for an address that is not 4 or 16 bytes long
    assert not policy.accept({"subjectAltName": (invalid,)})
    assert policy.accept({"subjectAltName": (invalid, ("DNS", "a.example"))})
