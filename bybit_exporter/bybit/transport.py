"""HTTP GET with a deadline for the whole exchange.

It uses the adapter of `requests`, with a request that is built by hand. `requests.Session` would spend more time on
files, forms, cookies, hooks and redirects, which are not used here, than on the request. It would also quote the signed
query again, which could change it.
"""

from __future__ import annotations

import http.client
import zlib
from collections.abc import Mapping
from typing import Any

import requests
from msgspec import Struct
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPHeaderDict
from urllib3.exceptions import DecodeError, HTTPError, IncompleteRead
from urllib3.response import BaseHTTPResponse

from .. import clock
from .connection import POOL_CLASSES, deadline, tls_context
from .errors import MALFORMED, NETWORK, TIMEOUT, BybitError

MAX_BODY_BYTES = 1 << 20
LARGE_ANSWERS = {"/v5/asset/total-members-assets": 16 << 20}
"""Limits for answers that grow with the number of subaccounts: about 450 bytes for each."""


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
        """Sends exactly this query string. Does not follow redirects, and does not keep cookies.

        Raises:
            BybitError: ``network``, ``timeout``, or ``malformed`` for a body of more than 1 MiB.
        """
        request = requests.PreparedRequest()
        request.method, request.url = "GET", self._base_url + path + ("?" + query if query else "")
        request.headers = dict(headers)  # type: ignore[assignment]  # no code looks up names in another case
        limit = LARGE_ANSWERS.get(path, MAX_BODY_BYTES)
        deadline.start(self._timeout_seconds)
        try:
            with self._adapter.send(
                request, stream=True, timeout=self._timeout_seconds, verify=self._verify, proxies=self._proxies
            ) as response:
                body = _read(response.raw, limit)
            received_at = clock.now()
            deadline.remaining()  # fails if the process was suspended meanwhile: the answer is out of date
        except (requests.RequestException, HTTPError, http.client.HTTPException, OSError) as error:
            raise self._failure(error) from error
        if len(body) > limit:
            raise BybitError(MALFORMED, f"the answer is larger than {limit} bytes")
        return Response(response.status_code, _first_values(response.raw.headers), body, received_at)

    def _failure(self, error: Exception) -> BybitError:
        cause = _root_cause(error)
        if isinstance(cause, TimeoutError) or clock.now() >= deadline.at:
            return BybitError(TIMEOUT, f"no complete answer within {self._timeout_seconds:g} s")
        is_cut_off = isinstance(cause, http.client.RemoteDisconnected | http.client.IncompleteRead | IncompleteRead)
        is_malformed = isinstance(cause, http.client.HTTPException | DecodeError | zlib.error) and not is_cut_off
        # Only these errors are quoted: others may contain the URL of a proxy, with its password, or parts of an answer.
        text = str(cause) if isinstance(cause, OSError | zlib.error) else None
        return BybitError(MALFORMED if is_malformed else NETWORK, type(cause).__name__, received_text=text)

    def close(self) -> None:
        """Closes the idle connections."""
        self._adapter.close()


class _Adapter(HTTPAdapter):
    """Opens connections of our own classes, from the source address."""

    def __init__(self, source_address: str | None, connections: int) -> None:
        self._source = (source_address, 0) if source_address else None
        super().__init__(pool_connections=1, pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=tls_context(), source_address=self._source, **kwargs)
        self.poolmanager.pool_classes_by_scheme = dict(POOL_CLASSES)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, ssl_context=tls_context(), source_address=self._source, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = dict(POOL_CLASSES)
        return manager


def _read(response: BaseHTTPResponse, limit: int) -> bytes:
    """The body, or one byte more than is allowed.

    An interim answer (1xx) is not read: its connection is closed rather than kept, since the final one will follow.
    """
    if response.status < 200:
        return b""
    try:
        return response.read(limit + 1, decode_content=True)
    except ValueError as error:  # the size of a chunk is negative
        raise http.client.HTTPException(str(error)) from None


def _first_values(headers: HTTPHeaderDict) -> Mapping[str, str]:
    """The first value of each header. `requests` joins the values of headers of one name with commas."""
    return CaseInsensitiveDict(reversed(list(headers.iteritems())))


def _root_cause(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        error = cause
    return error
