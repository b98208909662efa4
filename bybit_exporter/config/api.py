"""The section ``api``: where and how requests are sent."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from . import schema
from .schema import Section

ENVIRONMENTS = {
    "mainnet": "https://api.bybit.com",
    "testnet": "https://api-testnet.bybit.com",
    "demo": "https://api-demo.bybit.com",
}
"""https://bybit-exchange.github.io/docs/v5/guide"""

DEMO_HOSTS = frozenset({"api-demo.bybit.com", "api-demo-testnet.bybit.com"})
"""The hosts of demo trading: https://bybit-exchange.github.io/docs/v5/demo"""


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Where and how requests are sent."""

    base_url: str = ENVIRONMENTS["mainnet"]
    recv_window_seconds: float = 5.0
    timeout_seconds: float = 10.0
    max_requests_per_second: float = 100.0
    source_address: str | None = None
    """The local address of outgoing connections. None: the system chooses it."""

    @property
    def is_demo(self) -> bool:
        """Whether this is demo trading, which lacks the funding wallet, withdrawals, subaccounts and products."""
        return urlsplit(self.base_url).hostname in DEMO_HOSTS


def read_api(section: Section) -> ApiConfig:
    """Reads the section. What is wrong is reported to it."""
    if section.has("environment") and section.has("base_url"):
        section.report("base_url", "environment is given too; give one of the two")
    environment = section.optional("environment", schema.one_of(ENVIRONMENTS), "mainnet")
    default = ApiConfig()
    api = ApiConfig(
        section.optional("base_url", _base_url, ENVIRONMENTS[environment]),
        section.optional("recv_window", schema.duration(0.001, 60.0), default.recv_window_seconds),
        section.optional("timeout", schema.duration(0.001, 600.0), default.timeout_seconds),
        section.optional("max_requests_per_second", _positive_number, default.max_requests_per_second),
        section.optional("source_address", _source_address, default.source_address),
    )
    section.finish()
    return api


def _positive_number(value: Any) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", schema.text(value)) or float(value) <= 0:
        raise ValueError(f"{schema.quote(value)} is not a number greater than 0")
    return float(value)


def _source_address(value: Any) -> str:
    given = schema.text(value)
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        address = None
    if address is None or address.is_unspecified or address.is_multicast or "%" in given:
        raise ValueError(f"{schema.quote(given)} is not the IP address of a machine, such as 192.0.2.1 or 2001:db8::1")
    return str(address)


def _base_url(value: Any) -> str:
    """Scheme, host and port. The value is never quoted: it may contain a password."""
    try:
        url = urlsplit(schema.text(value))
        host, port = url.hostname or "", "" if url.port is None else f":{url.port}"
    except ValueError:
        url, host, port = urlsplit(""), "", ""
    address = (f"[{host}]" if ":" in host else host) + port
    if not _is_host(host) or url.netloc.lower() != address or url.path.strip("/") or url.query or url.fragment:
        raise ValueError("must be https:// and a host, such as https://api.bybit.nl")
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(host)):
        raise ValueError("must begin with https://; http:// is for loopback only")
    return f"{url.scheme}://{address}"


def _is_host(host: str) -> bool:
    if ":" not in host:
        return re.fullmatch(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", host) is not None
    try:
        return bool(ipaddress.IPv6Address(host))
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
