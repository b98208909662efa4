"""What clients may take up: connections, time and bytes. Who wants more is dropped, never queued."""

from __future__ import annotations

import asyncio
import resource
import ssl
from asyncio.sslproto import SSLProtocol
from functools import partial
from typing import Any

import h11
import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .middleware import add_headers
from .reloader import LiveWebConfig, Rules
from .tls import ClientRules

MAX_CONNECTIONS = 256
MAX_HEAD_BYTES = 16 << 10
HEAD_SECONDS = 10.0
"""From the connection, or from the first byte of a further request, to the last of its head; TLS included."""
ANSWER_SECONDS = 60.0
"""From there until the client has read its answer, but for the last of it."""
IDLE_SECONDS = 75.0
"""From there until the next request begins."""
GOODBYE_SECONDS = 0.5
"""From the end of a TLS connection, or of the server, until the client is cut off."""

_SLICE_BYTES = 1 << 10
"""A large head is noticed after this much, and not after all that one read has brought."""

PIECE_BYTES = 64 << 10

# asyncio gives each TLS connection a buffer of 256 KiB to read into, 16 times what a client may send.
SSLProtocol.max_size = MAX_HEAD_BYTES

ACCEPTED_AT_ONCE = 512
"""Each holds a file descriptor for a moment, even if it is dropped at once."""
QUEUED_BY_KERNEL = 4096
"""If it has no room for a connection, the client tries again only after a second."""

OTHER_DESCRIPTORS = 128

_log = structlog.get_logger()


class Connections:
    """All that are open, in two orders: by how long the server has waited for a request, or has had one to answer."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting: dict[BoundedProtocol, None] = {}
        self._answering: dict[BoundedProtocol, None] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._answering)

    def admit(self, connection: BoundedProtocol) -> None:
        """Takes the connection in. If they are too many now, one goes.

        The one that has sent no request for longest, or else has not read its answer for longest. So clients that hold
        connections open do not keep out one that asks and reads, whatever their number. If there are none, the new one.
        """
        if len(self) >= self.limit:
            waiting = next(iter(self._waiting), None)
            slow = next((other for other in self._answering if other.reads_slowly), connection)
            (waiting or slow).drop()
        if not connection.is_dropped:
            self._waiting[connection] = None

    def waits(self, connection: BoundedProtocol) -> None:
        if connection in self:
            self.forget(connection)
            self._waiting[connection] = None

    def is_answered(self, connection: BoundedProtocol) -> None:
        if connection in self:
            self.forget(connection)
            self._answering[connection] = None

    def __contains__(self, connection: BoundedProtocol) -> bool:
        return connection in self._waiting or connection in self._answering

    def forget(self, connection: BoundedProtocol) -> None:
        self._waiting.pop(connection, None)
        self._answering.pop(connection, None)


class BoundedProtocol(H11Protocol):
    """One connection: TLS if the web configuration has it, then HTTP/1.1, each step with a deadline."""

    _socket: asyncio.Transport
    _rules: Rules
    _deadline: asyncio.TimerHandle | None = None
    _idle = False
    _early = b""
    """What has come after the handshake, but before `_start_tls` was told of its end."""

    def __init__(self, open_connections: Connections, live: LiveWebConfig, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._open = open_connections
        self._live = live
        self._next_app, self.app = self.app, self._answer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._socket = transport
        self.connections.add(self)
        self._within(HEAD_SECONDS)
        self._open.admit(self)
        self._rules = self._live.rules
        context = self._rules.config.context
        if self.is_dropped:
            return
        if context is None:
            super().connection_made(transport)
        else:
            self._handshake = self.loop.create_task(self._start_tls(context))

    @property
    def is_dropped(self) -> bool:
        return self._socket.is_closing()

    @property
    def reads_slowly(self) -> bool:
        return self.flow.write_paused

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        if self.is_dropped:  # `start_tls` would keep its buffers until a timeout
            return
        try:
            tls = await self.loop.start_tls(
                self._socket, self, context, server_side=True, ssl_shutdown_timeout=GOODBYE_SECONDS
            )
        except OSError:  # of which ssl's errors are some
            tls = None
        if tls is None or not self._client_rules(self._rules).admit(tls.get_extra_info("peercert")):
            self.drop()
            return
        super().connection_made(tls)
        early, self._early = self._early, b""
        self.data_received(early)

    @staticmethod
    def _client_rules(rules: Rules) -> ClientRules:
        return rules.config.tls.clients if rules.config.tls else ClientRules()

    def data_received(self, data: bytes) -> None:
        if self.transport is None:
            self._early += data
            return
        if self._idle:
            self._idle = False
            self._within(HEAD_SECONDS)
        for start in range(0, len(data), _SLICE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _SLICE_BYTES])
            if self._unread_bytes() > MAX_HEAD_BYTES:  # requests sent before the answer to an earlier one
                self.drop()

    def _unread_bytes(self) -> int:
        return len(self.conn.trailing_data[0])

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._client_rules(self._live.rules) != self._client_rules(self._rules):
            self.drop()  # it came in under rules that hold no more
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        self._idle = False
        self._within(ANSWER_SECONDS)
        self._open.is_answered(self)
        await self._next_app(scope, receive, partial(_send_in_pieces, send))

    def on_response_complete(self) -> None:
        self._idle = True
        self._within(IDLE_SECONDS)
        self._open.waits(self)
        super().on_response_complete()  # begins the next request, if it has been sent already

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        if self.transport is not None:
            super().connection_lost(exc)

    def drop(self) -> None:
        """Ends the connection now, whatever is under way."""
        self._forget()
        self._socket.abort()

    def shutdown(self) -> None:
        """The server ends: an answer under way has a moment more."""
        if self.transport is None:
            self.drop()
        else:
            super().shutdown()
            self._within(GOODBYE_SECONDS)

    def _forget(self) -> None:
        self._open.forget(self)
        self.connections.discard(self)
        self._unset_keepalive_if_required()  # uvicorn forgets it if the client has reset the connection
        if self._deadline:
            self._deadline.cancel()

    def _within(self, seconds: float) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self.drop)

    def send_400_response(self, msg: str) -> None:
        """The answer to what is not HTTP; uvicorn's has no headers, and comes between the parts of another."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.drop()
            return
        status = 431 if self._unread_bytes() > MAX_HEAD_BYTES else 400
        headers = MutableHeaders({"Content-Length": "0", "Connection": "close"})
        add_headers(headers, self._live.rules)
        for event in (h11.Response(status_code=status, headers=headers.raw), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


async def _send_in_pieces(send: Send, message: Message) -> None:
    """Hands over no more than the client reads: the rest of a body is not copied, but stays where it is."""
    body = memoryview(message.get("body", b""))
    while len(body) > PIECE_BYTES:
        await send({"type": "http.response.body", "body": bytes(body[:PIECE_BYTES]), "more_body": True})
        body = body[PIECE_BYTES:]
    await send({**message, "body": bytes(body)} if "body" in message else message)


def allow_descriptors(connections: int) -> None:
    """Raises the process's limit of open files so far that clients cannot use it up: polls need some, too."""
    needed = connections + ACCEPTED_AT_ONCE + OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if needed <= soft or soft == resource.RLIM_INFINITY:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        _log.warning("clients could use up all file descriptors; lower --web.max-connections", allowed=allowed)
