"""Connections to the exchange on which all waits of one request share one deadline.

`requests` limits each single wait, so an answer that arrives byte by byte can last for ever. Here the time left until
the deadline limits every wait: for each address of the host, for the TLS handshake, for a proxy, and for each part of
the answer. The only exception is the DNS lookup, which the system's resolver limits.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from .. import clock


class Deadline(threading.local):
    """The moment by which the current request of this thread must have ended (staleness clock)."""

    at: float = 0.0

    def start(self, seconds: float) -> None:
        self.at = clock.now() + seconds

    def remaining(self) -> float:
        """Seconds left.

        Raises:
            TimeoutError: no time is left.
        """
        seconds = self.at - clock.now()
        if seconds <= 0:
            raise TimeoutError("the deadline of the request has passed")
        return seconds


deadline = Deadline()


class _TLSSocket(ssl.SSLSocket):
    def do_handshake(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(deadline.remaining())
        super().do_handshake(*args, **kwargs)


class _Reader(io.RawIOBase):
    """Reads from a socket until the deadline."""

    def __init__(self, connected: Any, stream: socket.SocketIO) -> None:
        self._socket = connected
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(deadline.remaining())
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, connected: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(connected, *args, **kwargs)
        self.fp: Any = io.BufferedReader(_Reader(connected, self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        """Connects to the first address of the host that answers. All of them share the time that is left."""
        name = self.host
        found = _resolve(name, self.port, self.source_address)
        # urllib3 tries the addresses of such a proxy itself, since it checks the certificate for this name.
        hosts = [name] if self.proxy and self.proxy.scheme == "https" else found
        try:
            for index, self.host in enumerate(hosts):
                # Keeps time for the other addresses if this one does not answer.
                self.timeout = deadline.remaining() / (len(found) - index)
                try:
                    return super().connect()
                except (NewConnectionError, ConnectTimeoutError):
                    if index == len(hosts) - 1:
                        raise
        finally:
            self.host = name  # the pool keeps the connection for this host


class _TLSConnection(_Connection, HTTPSConnection):
    def connect(self) -> None:
        if not self.proxy:
            self.server_hostname = self.host  # the certificate is checked for the name, not for the address
        super().connect()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


POOL_CLASSES: Mapping[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _TLSPool}
"""For `urllib3.PoolManager.pool_classes_by_scheme`."""


def tls_context() -> ssl.SSLContext:
    """Checks certificate and host name. The caller loads the authorities to trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _TLSSocket
    return context


def _resolve(host: str, port: int, source_address: tuple[str, int] | None) -> list[str]:
    """The addresses of a host that can be reached from the source address.

    Raises:
        OSError: there are none, or this machine does not have the source address.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror(f"{host} is not a host name") from None
    if source_address is None:
        return [str(address[0]) for *_, address in found]
    source = source_address[0]
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((source, 0))
    except OSError as error:
        raise OSError(f"api.source_address {source}: {error.strerror}") from None
    addresses = [str(address[0]) for kind, *_, address in found if kind == family]
    if not addresses:
        raise OSError(f"{host} has no address that api.source_address {source} reaches")
    return addresses
