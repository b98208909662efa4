"""Addresses to listen on."""

from __future__ import annotations

import socket


def parse_address(text: str) -> tuple[str, int]:
    """``host:port``, ``:port`` or ``[::1]:port``, as host and port.

    Raises:
        ValueError: it is none of these.
    """
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535 or (":" in host and not bracketed):
        raise ValueError(f'"{text}" is not host:port, :port or [::1]:port')
    return host[1:-1] if bracketed else host, int(port)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; without a host, on every interface, for IPv6 and IPv4 where the machine has both.

    Raises:
        OSError: the address cannot be had.
    """
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
    family, _, _, _, address = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address[:2], family=family, backlog=1024)
