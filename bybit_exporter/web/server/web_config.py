"""Reads the web configuration file, in the format of Prometheus's exporter toolkit.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ...config import schema
from ...config.redaction import looks_like_secret
from ...config.schema import Section, boolean, quote, text, warnings_of
from .tls import TlsConfig, not_after
from .tls_server_config import TlsReader

MAX_BCRYPT_COST = 18
"""One check at this cost takes about 18 seconds. Each further step doubles it."""

MAKE_HASH = r"htpasswd -nBC 10 '' | tr -d ':\n'"
"""Asks for a password and prints its hash. `tr` removes the empty user name's colon."""

_BCRYPT = re.compile(
    r"\$2[aby]\$([0-9]{2})\$"  # cost
    r"[./A-Za-z0-9]{21}[.Oeu]"  # salt: 16 bytes, 6 bits in each character, so the last one has 4 bits that are zero
    r"[./A-Za-z0-9]{30}[.CGKOSWaeimquy26]"  # hash: 23 bytes, so the last character has 2 bits that are zero
)
"""No password ever matches a hash with other characters: bcrypt refuses the salt, or makes another hash."""

_HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""The headers that the file may set, and the values that each may have; an empty tuple allows any."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Limit for all clients together: ``burst`` requests at once, and one more each interval."""

    interval_seconds: float
    burst: int


@dataclass(frozen=True, slots=True)
class WebConfig:
    """A valid web configuration, with the contents of its files. The default is plain HTTP without passwords."""

    tls: TlsConfig | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By user name, the bcrypt hash of the password."""
    rate_limit: RateLimit | None = None
    context: ssl.SSLContext | None = field(default=None, compare=False, repr=False)
    files: tuple[Path, ...] = field(default=(), compare=False)
    """The files it was read from."""
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def requires_authentication(self) -> bool:
        """Whether each client needs a password or a certificate."""
        return bool(self.users) or (self.tls is not None and self.tls.client_certificates.verify == ssl.CERT_REQUIRED)

    @property
    def expires(self) -> datetime | None:
        """When the server's certificate expires."""
        return not_after(self.tls.certificate) if self.tls else None

    @property
    def expiry_problems(self) -> list[str]:
        """A problem if the server's certificate has expired, else nothing."""
        if self.expires is None or self.expires > datetime.now(UTC):
            return []
        return [f"{self.files[0]}: tls_server_config: the certificate expired on {self.expires:%Y-%m-%d %H:%M} UTC"]


def load(path: str | Path) -> WebConfig:
    """Reads the file and the files it names.

    Raises:
        ConfigError: with every problem found.
    """
    return schema.load(path, lambda top: _web_config(top, Path(path)))


def _web_config(top: Section, path: Path) -> WebConfig:
    section = top.section("tls_server_config")
    reader = TlsReader(section, path.parent)
    tls = reader.read() if not section.is_empty else None
    headers = _http_server_config(top.section("http_server_config"))
    no_users: dict[str, str] = {}
    users = top.optional("basic_auth_users", partial(_users, top), no_users)
    rate_limit = _rate_limit(top.section("rate_limit"))
    top.finish()
    secret_files = [path] if users or section.has("key") else []
    secret_files += [reader.files["key_file"]] if "key_file" in reader.files else []
    warnings = warnings_of(secret_files)
    if rate_limit and not rate_limit.burst:
        warnings.append(f"{path}: rate_limit.burst: is 0, so every request will be refused")
    config, context = tls or (None, None)
    return WebConfig(config, headers, users, rate_limit, context, (path, *reader.files.values()), tuple(warnings))


def _http_server_config(section: Section) -> dict[str, str]:
    section.optional("http2", _http2, False)
    headers = section.section("headers")
    given = {name: headers.optional(name, partial(_header, values), "") for name, values in _HEADERS.items()}
    headers.finish()
    section.finish()
    return {name: value for name, value in given.items() if value}


def _http2(value: Any) -> bool:
    if boolean(value):
        raise ValueError("true is not supported: this server speaks HTTP/1.1 only; leave it out, or set false")
    return False


def _header(allowed: tuple[str, ...], value: Any) -> str:
    if value is None or value == "":
        return ""  # the same as leaving it out
    if not re.fullmatch(r"[ -~]+", text(value)):
        raise ValueError("contains a line break or another character that a header cannot have")
    if allowed and value not in allowed:
        raise ValueError(f"{quote(value)} is not one of {', '.join(allowed)}")
    return str(value).strip()


def _users(top: Section, value: Any) -> dict[str, str]:
    """Converts user names and hashes. No message quotes a hash, since it may be a password by mistake."""
    if value is not None and not isinstance(value, dict):
        raise ValueError("must be a mapping of user names to bcrypt hashes")
    users = value or {}
    for name, hashed in users.items():
        if problem := _user_problem(name, hashed):
            top.report(f"basic_auth_users[{_quote_name(name)}]", problem)
    return {name: str(hashed) for name, hashed in users.items()}


def _quote_name(name: str) -> str:
    """Quotes a user name up to a character that may separate it from a password.

    Without a blank after the colon, YAML reads ``{alice:password}`` as one key.
    """
    shown = "" if looks_like_secret(name) else re.split(r"[:=$\s]", name, maxsplit=1)[0]
    return quote(shown if shown == name else shown + "…")


def _user_problem(name: str, hashed: Any) -> str | None:
    match = _BCRYPT.fullmatch(hashed) if isinstance(hashed, str) else None
    if not name or ":" in name or not name.isprintable():
        return "is not a user name: it is empty, or has a colon or a character that is not printable"
    if match is None:
        return f"is not a bcrypt hash such as $2y$10$…, or has a wrong character; `{MAKE_HASH}` makes one"
    if not 4 <= int(match[1]) <= MAX_BCRYPT_COST:
        return f"has a cost of {match[1]}, which is not from 4 to {MAX_BCRYPT_COST}"
    return None


def _rate_limit(section: Section) -> RateLimit | None:
    interval = section.optional("interval", _interval, 0.0)
    burst = section.optional("burst", _burst, 0)
    section.finish()
    return RateLimit(interval, burst) if interval else None


def _interval(value: Any) -> float:
    return 0.0 if value == "0" else schema.duration(0.0)(value)


def _burst(value: Any) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text(value)):
        raise ValueError(f"{quote(value)} is not a whole number of requests")
    return int(value)
