"""One HTTP GET that ends: with the whole body before a deadline, or with a `BybitError`.

`requests` bounds the time between two bytes, so an answer that drips lasts for ever. Here every wait of a
connection (for each address of the host, the TLS handshake, head and body) lasts no longer than what is left until
the deadline of the request that the thread is making. Only the resolver's own timeout lies outside of it.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import threading
import zlib
from collections.abc import Mapping
from types import FunctionType
from typing import Any

import requests
from msgspec import Struct
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import DecodeError, HTTPError, NameResolutionError

from .. import clock
from .errors import MALFORMED, NETWORK, TIMEOUT, BybitError

MAX_BODY_BYTES = 1 << 20


class _Deadline(threading.local):
    """When the request that this thread is making must have ended (staleness clock)."""

    at: float = 0.0

    def remaining(self) -> float:
        seconds = self.at - clock.now()
        if seconds <= 0:
            raise TimeoutError("the deadline of the request has passed")
        return seconds


_deadline = _Deadline()


class _Socket(socket.socket):
    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_deadline.remaining())
        return super().recv_into(*args, **kwargs)


class _TLSSocket(ssl.SSLSocket):
    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_deadline.remaining())
        return super().recv_into(*args, **kwargs)


def _resolve(host: str, port: int) -> list[tuple[Any, ...]]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror(f"{host} is not a host name") from None


def _bind(connection: socket.socket, source: str) -> None:
    try:
        connection.bind((source, 0))
        return
    except OSError as error:
        reason = error.strerror
    raise OSError(f"api.source_address {source}: {reason}")


def _connect(host: str, port: int, options: Any, source: str | None) -> socket.socket:
    """Connects to the first address of the host that answers, all of them before the one deadline."""
    wanted = f" that api.source_address {source} reaches" if source else ""
    failure: OSError = OSError(f"{host} has no address{wanted}")
    addresses = _resolve(host, port)
    if source:
        addresses = [found for found in addresses if (found[0] == socket.AF_INET6) == (":" in source)]
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        connection = _Socket(family, kind, protocol)
        try:
            for option in options or ():
                connection.setsockopt(*option)
            if source:
                _bind(connection, source)
            connection.settimeout(_deadline.remaining() / (len(addresses) - tried))  # a dead one leaves time for others
            connection.connect(address)
            connection.settimeout(_deadline.remaining())  # for the TLS handshake
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


class _Headers(dict[str, str]):
    """The first header of each name, whatever the case of its letters."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def _parse_headers(fp: Any, **_: Any) -> _Headers:
    """As `http.client.parse_headers`, but without the parser for e-mails, which takes a fifth of a whole poll.

    From Python 3.15 on it is told a limit of its own, which nobody sets here.
    """
    lines = http.client._read_headers(fp)  # type: ignore[attr-defined]  # bounds their length and number
    text = _FOLD.sub(" ", b"".join(lines).decode("iso-8859-1"))
    headers = _Headers()
    for line in text.rstrip().split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.lower(), value.strip())
        elif line:
            raise http.client.HTTPException("a header without a colon")
    return headers


_FOLD = re.compile(r"\r?\n[ \t]+")
"""Where a header goes on in the next line."""


class _Response(http.client.HTTPResponse):
    """`http.client`'s own answer, which goes to `requests` as it is: urllib3's around it would only be read once."""

    begin = FunctionType(  # which in its own code finds our parser under that name
        http.client.HTTPResponse.begin.__code__, {**vars(http.client), "parse_headers": _parse_headers}, "begin"
    )
    begin.__kwdefaults__ = http.client.HTTPResponse.begin.__kwdefaults__
    version_string, length_remaining = "HTTP/1", None  # for urllib3's log
    _pool: Any = None
    _connection: Any = None
    """Lent by the pool; None once it has it back."""

    def read(self, amt: int | None = None, decode_content: bool = False) -> bytes:
        """So much of the body. The connection is free for others if that was all of it.

        Raises:
            http.client.HTTPException: if it breaks off, or its chunks make no sense.
            zlib.error: if it is compressed, which nobody has asked for, and that badly.
        """
        body = None
        with contextlib.suppress(ValueError):  # as for a chunk of negative size
            body = super().read(amt)
        if body is None:
            raise http.client.HTTPException("a chunk of no size")
        if self.length and (amt is None or len(body) < amt):
            raise http.client.IncompleteRead(body, self.length)
        if self.isclosed() and self._connection is not None and self.status >= 200:  # below, the answer is to come
            self._pool._put_conn(self._connection)
            self._pool = self._connection = None
        if decode_content and self.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip", "deflate"):
            return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, amt or 0)
        return body

    def close(self) -> None:
        super().close()
        if self._connection is not None:
            self._connection.close()


class _Connection(HTTPConnection):
    response_class = _Response
    getresponse = http.client.HTTPConnection.getresponse  # type: ignore[assignment]  # without urllib3's own around it

    def _new_conn(self) -> socket.socket:
        try:
            source, _ = self.source_address or (None, 0)
            return _connect(self._dns_host, self.port, self.socket_options, source)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection  # type: ignore[assignment]


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection  # type: ignore[assignment]


class _Adapter(HTTPAdapter):
    """All requests go to one host in one way, so the pool of connections is looked up once."""

    _pool: Any = None

    def __init__(self, source_address: str | None, connections: int) -> None:
        self._source = (source_address, 0) if source_address else None
        super().__init__(pool_connections=1, pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=_tls_context(), source_address=self._source, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, ssl_context=_tls_context(), source_address=self._source, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
        return manager

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool = self._pool
        if pool is None:
            pool = self._pool = super().get_connection_with_tls_context(*args, **kwargs)
        return pool

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        return super().request_url(request, proxies) if proxies else request.path_url

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Only what is read: no cookies, no encoding, no second copy of the headers."""
        response = requests.Response.__new__(requests.Response)
        response._content_consumed = False  # what `close` looks at
        response.request = req
        response.raw, response.status_code, response.headers = resp, resp.status, resp.headers
        return response

    def close(self) -> None:
        self._pool = None  # a request that is still to be made opens another, as `requests` does
        super().close()


def _tls_context() -> ssl.SSLContext:
    """Certificate and host name are checked; the certificates to trust come from `requests`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _TLSSocket
    return context


class Response(Struct, frozen=True):
    """Status, headers (case-insensitive), the whole body, and when its last byte was read (staleness clock)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: float


class Transport:
    """Kept-alive connections to one base URL, shared by all threads."""

    def __init__(
        self, base_url: str, *, timeout_seconds: float, connections: int, source_address: str | None = None
    ) -> None:
        self._base_url = base_url
        self._timeout_seconds = timeout_seconds
        self._adapter = _Adapter(source_address, connections)
        with requests.Session() as session:  # proxies and CA bundle of the environment, read once
            session.trust_env = not base_url.startswith("http://")  # plain HTTP is for loopback
            settings = session.merge_environment_settings(base_url, {}, True, None, None)
        self._proxies, self._verify = settings["proxies"], settings["verify"]

    def get(self, path: str, query: str, headers: Mapping[str, str]) -> Response:
        """Sends exactly this query string. Follows no redirect, sends no body, keeps no cookie.

        Raises:
            BybitError: ``network``, ``timeout``, or ``malformed`` for a body of more than 1 MiB.
        """
        url = self._base_url + path + ("?" + query if query else "")
        _deadline.at = clock.now() + self._timeout_seconds
        try:
            request = _get(url, headers)
            with self._adapter.send(request, stream=True, verify=self._verify, proxies=self._proxies) as response:
                body = response.raw.read(MAX_BODY_BYTES + 1, decode_content=True)
            received_at = clock.now()
            _deadline.remaining()  # what arrived while the process was stopped is no news
        except (requests.RequestException, HTTPError, http.client.HTTPException, zlib.error, OSError) as error:
            raise self._failure(error) from error
        if len(body) > MAX_BODY_BYTES:
            raise BybitError(MALFORMED, f"the answer is larger than {MAX_BODY_BYTES} bytes")
        return Response(response.status_code, response.headers, body, received_at)

    def _failure(self, error: Exception) -> BybitError:
        cause = _root_cause(error)
        if isinstance(cause, TimeoutError) or clock.now() >= _deadline.at:
            return BybitError(TIMEOUT, f"no complete answer within {self._timeout_seconds:g} s")
        broken_off = isinstance(cause, http.client.RemoteDisconnected | http.client.IncompleteRead)
        not_http = isinstance(cause, http.client.HTTPException | zlib.error | DecodeError) and not broken_off
        # A URL that makes no sense is a proxy's, and may hold a password: only what the network says is quoted.
        seen = str(cause) if isinstance(cause, OSError | http.client.HTTPException | zlib.error) else None
        return BybitError(MALFORMED if not_http else NETWORK, type(cause).__name__, seen=seen)

    def close(self) -> None:
        """Closes the idle connections."""
        self._adapter.close()


def _get(url: str, headers: Mapping[str, str]) -> requests.PreparedRequest:
    """The request as it is: `Request.prepare` would look for files, forms, cookies and hooks, and quote the query."""
    request = requests.PreparedRequest()
    request.method, request.url = "GET", url
    request.headers = dict(headers)  # type: ignore[assignment]  # all that is sent, so no name needs to be found
    return request


def _root_cause(error: BaseException) -> BaseException:
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return error
