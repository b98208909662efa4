"""Reads ``tls_server_config`` of the web configuration. Settings that Python's `ssl` does not support are errors."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ...config.schema import Section, boolean, one_of, quote, read_named_file, text
from ...model import Secret
from . import tls
from .tls import ClientCertificatePolicy, TlsConfig

MAX_PEM_BYTES = 1 << 20

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_OLD_VERSIONS = ("TLS10", "TLS11")

_VERIFY = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")

_TLS13_CIPHERS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_TLS12_CIPHERS = {
    f"TLS_ECDHE_{kind}_WITH_{go}": f"ECDHE-{kind}-{openssl}"
    for kind in ("ECDSA", "RSA")
    for go, openssl in {
        "AES_128_CBC_SHA": "AES128-SHA",
        "AES_256_CBC_SHA": "AES256-SHA",
        "AES_128_GCM_SHA256": "AES128-GCM-SHA256",
        "AES_256_GCM_SHA384": "AES256-GCM-SHA384",
        "CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305",
    }.items()
}
"""The names that the exporter toolkit accepts: https://pkg.go.dev/crypto/tls#CipherSuites"""

_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}


@dataclass(slots=True)
class TlsReader:
    """Reads the section, and collects the paths of the files it names."""

    section: Section
    directory: Path
    files: dict[str, Path] = field(default_factory=dict)
    """By the key that names the file."""

    def read(self) -> tuple[TlsConfig, ssl.SSLContext] | None:
        """Reads the section. Returns `None` if it has problems, which are reported to the section."""
        certificate = self._pem("cert", tls.not_after)
        key = self._pem("key", tls.check_key)
        client_certificates = self._client_certificates()
        minimum, maximum = self._versions()
        ciphers = self._list("cipher_suites", _cipher)
        if ciphers and not any(ciphers) and minimum < ssl.TLSVersion.TLSv1_3:
            self.section.report("cipher_suites", "names no suite for TLS 1.2; add one, or set min_version: TLS13")
        curve = self._curve()
        preference = self.section.optional("prefer_server_cipher_suites", boolean, True)
        self.section.finish()
        if certificate is None or key is None:
            return None
        known = tuple(cipher for cipher in ciphers if cipher)
        config = TlsConfig(certificate, Secret(key), client_certificates, minimum, maximum, known, curve, preference)
        try:
            return config, tls.server_context(config)
        except ValueError as error:
            self.section.report("key_file" if self.section.has("key_file") else "key", str(error))
            return None

    def _pem(self, key: str, check: Callable[[str], object], *, required: bool = True) -> str | None:
        """Reads a PEM text that is given inline or in a file."""
        readers: dict[str, Callable[[Any], str]] = {key: text, f"{key}_file": partial(self._from_file, f"{key}_file")}
        given = [way for way in readers if self.section.has(way)]
        if len(given) > 1:
            self.section.report(key, f"{key}_file is given too; give one of the two")
        elif not given and required:
            self.section.report(f"{key}_file", f"missing; give {key}_file or {key}")
        found = [self.section.optional(way, partial(_checked, read, check), None) for way, read in readers.items()]
        return next((pem for pem in found if pem is not None), None)

    def _from_file(self, key: str, value: Any) -> str:
        self.files[key] = self.directory / text(value)
        return read_named_file(value, self.directory, MAX_PEM_BYTES)

    def _client_certificates(self) -> ClientCertificatePolicy:
        section = self.section
        verify = section.optional("client_auth_type", _client_auth_type, ssl.CERT_NONE)
        ca = self._pem("client_ca", tls.check_ca, required=False)
        sans = self._list("client_allowed_sans", text)
        if verify != ssl.CERT_REQUIRED and section.has("client_allowed_sans"):
            section.report("client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert")
        ca_given = section.has("client_ca") or section.has("client_ca_file")
        if ca_given and verify == ssl.CERT_NONE:
            section.report("client_ca_file", "needs client_auth_type: RequireAndVerifyClientCert")
        if not ca_given and verify == ssl.CERT_REQUIRED:
            problem = "missing; without it every certificate of a public authority would be accepted"
            section.report("client_ca_file", problem)
        return ClientCertificatePolicy(verify, ca, frozenset(sans))

    def _versions(self) -> tuple[ssl.TLSVersion, ssl.TLSVersion]:
        minimum = self.section.optional("min_version", _version, ssl.TLSVersion.TLSv1_2)
        maximum = self.section.optional("max_version", _version, ssl.TLSVersion.TLSv1_3)
        if minimum > maximum:
            self.section.report("max_version", "is older than min_version")
        return minimum, maximum

    def _list(self, key: str, convert: Callable[[Any], str]) -> list[str]:
        converted, none = [], list[Any]()
        for index, entry in enumerate(self.section.optional(key, _entries, none)):
            try:
                converted.append(convert(entry))
            except ValueError as error:
                self.section.report(f"{key}[{index}]", str(error))
        return converted

    def _curve(self) -> str | None:
        curves = self._list("curve_preferences", _curve)
        if len(curves) > 1:
            problem = "Python's ssl supports a single curve; give one, or leave it out for OpenSSL's choice"
            self.section.report("curve_preferences", problem)
        return curves[0] if curves else None


def _checked(read: Callable[[Any], str], check: Callable[[str], object], value: Any) -> str:
    pem = read(value)
    check(pem)
    return pem


def _entries(value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list of at least one entry")
    return value


def _version(value: Any) -> ssl.TLSVersion:
    if value in _OLD_VERSIONS:
        raise ValueError(f"{value} is not supported by OpenSSL any more; the oldest is TLS12")
    return _VERSIONS[one_of(_VERSIONS)(value)]


def _client_auth_type(value: Any) -> ssl.VerifyMode:
    if value in _UNVERIFIED:
        raise ValueError(
            f"{value} is not supported: Python's ssl verifies each certificate it requests, "
            "and a certificate that is not verified proves nothing; use RequireAndVerifyClientCert"
        )
    return _VERIFY[one_of(_VERIFY)(value)]


def _cipher(value: Any) -> str:
    """OpenSSL's name of a suite; empty for a suite of TLS 1.3, which is always enabled."""
    if value in _TLS13_CIPHERS:
        return ""
    name = _TLS12_CIPHERS[one_of((*_TLS12_CIPHERS, *_TLS13_CIPHERS))(value)]
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(name)
    except ssl.SSLError:
        raise ValueError(f"{quote(value)} is not offered by this OpenSSL") from None
    return name


def _curve(value: Any) -> str:
    name = _CURVES[one_of(_CURVES)(value)]
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ecdh_curve(name)
    except (ValueError, ssl.SSLError):
        raise ValueError(f"{quote(value)} cannot be set in this Python") from None
    return name
