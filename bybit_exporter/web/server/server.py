"""The HTTP server: uvicorn on a thread of its own, so that the main thread handles signals."""

from __future__ import annotations

import asyncio
import ipaddress
import resource
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import structlog
import uvicorn
from starlette.types import ASGIApp

from . import connections
from .connections import Connection, ConnectionMiddleware, OpenConnections
from .middleware import AccessMiddleware
from .reloader import WebConfigReloader

SHUTDOWN_SECONDS = 1

BACKLOG = 512
"""Connections that the kernel queues."""

ACCEPTED_AT_ONCE = 16
"""Connections that are accepted before those that are open are read again. With many more, a new connection would be
dropped for newer ones before its request is read."""

OTHER_DESCRIPTORS = 640
"""File descriptors for everything but clients: above all the connections of up to 256 polls."""

_log = structlog.get_logger()


class WebServer:
    """Serves an application on bound sockets.

    ``on_end`` is called when the server has ended, for any reason.
    """

    def __init__(
        self,
        app: ASGIApp,
        listeners: Sequence[socket.socket],
        on_end: Callable[[], None],
        reloader: WebConfigReloader,
        max_connections: int,
    ) -> None:
        for listener in listeners:
            # Connections inherit this. Without it, a body waits until the client has acknowledged the head.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raise_descriptor_limit(max_connections)
        self._listeners = list(listeners)
        self._on_end = on_end
        self._reloader = reloader
        addresses = [listener.getsockname()[:2] for listener in listeners]
        loopback = frozenset((host, port) for host, port in addresses if ipaddress.ip_address(host).is_loopback)
        guarded = AccessMiddleware(app, reloader, loopback)
        protocol = partial(Connection, OpenConnections(max_connections), reloader)
        self._server = _Server(
            uvicorn.Config(
                ConnectionMiddleware(guarded),
                http=cast(type[asyncio.Protocol], protocol),
                ws="none",
                loop="asyncio",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=ACCEPTED_AT_ONCE,
                h11_max_incomplete_event_size=connections.MAX_HEAD_BYTES,
                timeout_keep_alive=int(connections.IDLE_SECONDS),
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._reloader.start()

    def stop(self) -> None:
        """Stops the server. Answers in progress have a short time to end."""
        self._reloader.stop()
        self._server.should_exit = True
        self._thread.join(SHUTDOWN_SECONDS + 0.5)

    def _run(self) -> None:
        try:
            self._server.run(sockets=self._listeners)
        finally:
            self._on_end()


class _Server(uvicorn.Server):
    """uvicorn's server, but the kernel queues more connections than are accepted at once."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)


def raise_descriptor_limit(max_connections: int) -> None:
    """Raises the process's limit of open files, so that clients cannot use up those that polls need."""
    needed = max_connections + OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if needed <= soft or soft == resource.RLIM_INFINITY:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        _log.warning("clients could use up all file descriptors; lower --web.max-connections", allowed=allowed)
