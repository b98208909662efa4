"""Parses listen addresses, and binds them."""

from __future__ import annotations

import os
import re
import socket

_LABEL = "[A-Za-z0-9_-]{1,63}"
_ADDRESS = re.compile(
    rf"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>(?:{_LABEL}(?:\.{_LABEL})*)?)):(?P<port>[0-9]{{1,5}})"
)


def parse_address(text: str) -> tuple[str, int]:
    """Parses ``host:port``, ``:port`` or ``[::1]:port``. Returns host and port.

    Raises:
        ValueError: the text has none of these forms.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f'"{text}" is not host:port, :port or [::1]:port')
    return match["ipv6"] or match["host"], int(match["port"])


def bind(host: str, port: int) -> socket.socket:
    """Returns a listening socket. Without a host it listens on every interface, on IPv6 and IPv4 if there are both.

    Raises:
        OSError: the address cannot be bound.
    """
    is_dualstack = not host and socket.has_dualstack_ipv6()
    everywhere = "::" if is_dualstack else "0.0.0.0"
    family, _, _, _, address = socket.getaddrinfo(host or everywhere, port, type=socket.SOCK_STREAM)[0]
    try:
        return socket.create_server(address[:2], family=family, backlog=1024, dualstack_ipv6=is_dualstack)
    except OSError as error:  # Python's message repeats the address
        raise OSError(error.errno, os.strerror(error.errno or 0)) from None
