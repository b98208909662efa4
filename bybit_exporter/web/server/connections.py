"""Limits for clients: how many may connect, how long each step may take, and how much they may send.

Connections over a limit are closed, not queued.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import h11
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .middleware import add_headers
from .reloader import AccessRules, WebConfigReloader
from .tls import ClientCertificatePolicy
from .tls_transport import TlsTransport

MAX_HEAD_BYTES = 16 << 10

HEAD_SECONDS = 10.0
"""For the TLS handshake and the head of the first request together; later for the head of each further request."""
ANSWER_SECONDS = 60.0
"""From the end of the request's head until the client has read the answer, except for its last part."""
IDLE_SECONDS = 75.0
"""From the end of an answer to the first byte of the next request."""
CLOSE_SECONDS = 0.5
"""For answers in progress when the server stops."""

READ_BYTES = 1 << 10
"""Data is parsed in parts of this size, so that a head over the limit is refused before all of it is parsed."""

WRITE_BYTES = 64 << 10


class OpenConnections:
    """All open connections. Each either waits for a request or is being answered."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting: dict[Connection, None] = {}  # these two are ordered sets: who began first comes first
        self._answering: dict[Connection, None] = {}

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._waiting or connection in self._answering

    def add(self, connection: Connection) -> None:
        """Adds a connection. If the limit is reached, drops one: another, or the new one itself.

        Drops the connection that has sent no request for the longest time; if there is none, the one that has not read
        its answer for the longest time; if there is none either, the new one. So clients that only hold connections
        open do not keep out a client that sends requests and reads answers.
        """
        if len(self._waiting) + len(self._answering) >= self.limit:
            waiting = next(iter(self._waiting), None)
            slow = next((other for other in self._answering if other.reads_slowly), connection)
            (waiting or slow).drop()
        if not connection.is_closing:
            self._waiting[connection] = None

    def mark(self, connection: Connection, *, answering: bool) -> None:
        """Moves a connection to the end of those that are being answered, or of those that wait."""
        if connection in self:
            self.remove(connection)
            (self._answering if answering else self._waiting)[connection] = None

    def remove(self, connection: Connection) -> None:
        self._waiting.pop(connection, None)
        self._answering.pop(connection, None)


class Connection(asyncio.Protocol):
    """One client's connection: TLS if the web configuration has it, then uvicorn's HTTP/1.1, each step with a deadline.

    It is called by asyncio, and calls uvicorn's protocol as asyncio would. uvicorn has no deadline for the head of a
    request, and does not count a connection before its TLS handshake has ended.
    """

    def __init__(
        self,
        open_connections: OpenConnections,
        reloader: WebConfigReloader,
        *,
        server_state: ServerState,
        app_state: dict[str, Any],
        **options: Any,
    ) -> None:
        self.reads_slowly = False
        """Whether data for the client waits to be sent."""
        self._open = open_connections
        self._reloader = reloader
        self._loop = asyncio.get_running_loop()
        self._server_state = server_state
        self._http_options = {"server_state": server_state, "app_state": app_state, **options}
        self._http: HttpProtocol | None = None
        """`None` until the TLS handshake has ended."""
        self._tls: TlsTransport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._is_idle = False

    @property
    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn calls `shutdown` on each
        self._set_deadline(HEAD_SECONDS)
        self._open.add(self)
        self._rules = self._reloader.rules
        context = self._rules.config.context
        if self.is_closing:
            return
        if context is None:
            self._start_http(transport)
        else:
            self._tls = TlsTransport(transport, context)

    def data_received(self, data: bytes) -> None:
        if self._tls is None:
            self._receive(data)
            return
        try:
            self._tls.receive(data)
            if self._http or self._end_handshake(self._tls):
                for part in self._tls.read():
                    self._receive(part)
        except ssl.SSLError:
            self._transport.close()  # after the alert that says why

    def _end_handshake(self, tls: TlsTransport) -> bool:
        if not tls.do_handshake():
            return False
        if not _client_certificates(self._rules).accept(tls.peer_certificate()):
            self.drop()
            return False
        self._start_http(tls)
        return True

    def _start_http(self, transport: asyncio.Transport) -> None:
        self._http = HttpProtocol(self._reloader, **self._http_options)
        # uvicorn copies `app_state` into `scope["state"]` of each request, where `ConnectionMiddleware` reads it.
        self._http.app_state = {**self._http.app_state, "connection": self}
        self._http.connection_made(transport)

    def _receive(self, data: bytes) -> None:
        """Passes data on to uvicorn, unless the client sends too much."""
        assert self._http
        if self._is_idle:
            self._is_idle = False
            self._set_deadline(HEAD_SECONDS)
        for start in range(0, len(data), READ_BYTES):
            if self.is_closing:
                return
            self._http.data_received(data[start : start + READ_BYTES])
            if self._http.unread_bytes > MAX_HEAD_BYTES:  # requests sent before an earlier one is answered
                self.drop()

    def begin_answer(self) -> bool:
        """Starts an answer. Drops the connection instead if the rules for client certificates have changed."""
        if _client_certificates(self._reloader.rules) != _client_certificates(self._rules):
            self.drop()
            return False
        self._is_idle = False
        self._set_deadline(ANSWER_SECONDS)
        self._open.mark(self, answering=True)
        return True

    def end_answer(self) -> None:
        if not self.is_closing:
            self._is_idle = True
            self._set_deadline(IDLE_SECONDS)
            self._open.mark(self, answering=False)

    def pause_writing(self) -> None:
        self.reads_slowly = True
        if self._http:
            self._http.pause_writing()

    def resume_writing(self) -> None:
        self.reads_slowly = False
        if self._http:
            self._http.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._remove()
        if self._http:
            self._http.connection_lost(None)  # given an error, uvicorn would keep its timer for idle connections
        self._http = self._tls = None  # they refer to each other; garbage collection is rare

    def drop(self) -> None:
        """Ends the connection now, even in the middle of an answer."""
        self._remove()
        self._transport.abort()

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops. Answers in progress have `CLOSE_SECONDS` to end."""
        if self._http is None:
            self.drop()
        else:
            self._set_deadline(CLOSE_SECONDS)

    def _remove(self) -> None:
        self._open.remove(self)
        self._server_state.connections.discard(self)
        if self._deadline:
            self._deadline.cancel()

    def _set_deadline(self, seconds: float) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, self.drop)


def _client_certificates(rules: AccessRules) -> ClientCertificatePolicy:
    return rules.config.tls.client_certificates if rules.config.tls else ClientCertificatePolicy()


class HttpProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, but malformed requests are answered with our headers."""

    def __init__(self, reloader: WebConfigReloader, **options: Any) -> None:
        super().__init__(**options)
        self.reloader = reloader

    @property
    def unread_bytes(self) -> int:
        """Bytes received and not parsed yet."""
        return len(self.conn.trailing_data[0])

    def send_400_response(self, msg: str) -> None:
        """Answers a malformed request. uvicorn's answer has none of our headers, and may interrupt another answer."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        status = 431 if self.unread_bytes > MAX_HEAD_BYTES else 400
        headers = MutableHeaders({"Content-Length": "0", "Connection": "close"})
        add_headers(headers, self.reloader.rules)
        for event in (h11.Response(status_code=status, headers=headers.raw), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class ConnectionMiddleware:
    """ASGI middleware that notifies the connection when an answer begins and ends, and sends large bodies in parts."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: Connection = scope["state"]["connection"]  # a copy of uvicorn's `app_state`: see `_start_http`
        if not connection.begin_answer():
            while (await receive())["type"] != "http.disconnect":
                pass
            return

        async def send_in_parts(message: Message) -> None:
            """Sends the next part when the client has read enough, so that only a part of the body is copied."""
            body = memoryview(message.get("body", b""))
            while len(body) > WRITE_BYTES:
                await send({"type": "http.response.body", "body": bytes(body[:WRITE_BYTES]), "more_body": True})
                body = body[WRITE_BYTES:]
            await send({**message, "body": bytes(body)} if "body" in message else message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                connection.end_answer()

        await self._app(scope, receive, send_in_parts)
