"""The HTTP server: uvicorn on a thread of its own, so that signals stay with the main thread."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from . import limits
from .middleware import Guard
from .reloader import LiveWebConfig

SHUTDOWN_SECONDS = 1
TICK_SECONDS = 1.0
"""How often the web configuration is looked at."""


class _Server(uvicorn.Server):
    """uvicorn's, but it is told when to end, instead of looking ten times a second."""

    _loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        for listener in sockets or []:  # asyncio makes the queue as short as what it accepts at once
            listener.listen(limits.QUEUED_BY_KERNEL)

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), TICK_SECONDS)

    def end(self) -> None:
        """Has it end soon; any thread may call."""
        self.should_exit = True
        if self._loop:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._ending.set)


class WebServer:
    """Serves an application on a bound socket."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        ended: Callable[[], None],
        live: LiveWebConfig | None = None,
        max_connections: int = limits.MAX_CONNECTIONS,
    ) -> None:
        live = live or LiveWebConfig()
        # Connections inherit this. asyncio does not set it here, and a body would wait until its head is acknowledged.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._listener = listener
        self._ended = ended
        on_loopback = ipaddress.ip_address(listener.getsockname()[0]).is_loopback
        protocol = partial(limits.BoundedProtocol, limits.Connections(max_connections), live)
        limits.allow_descriptors(max_connections)
        self._server = _Server(
            uvicorn.Config(
                Guard(app, live, on_loopback=on_loopback),
                http=cast(type[asyncio.Protocol], protocol),
                ws="none",
                loop="asyncio",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=limits.ACCEPTED_AT_ONCE,
                h11_max_incomplete_event_size=limits.MAX_HEAD_BYTES,
                timeout_keep_alive=int(limits.IDLE_SECONDS),
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
                callback_notify=live.refresh,
                timeout_notify=0,
            )
        )
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the server, and waits a moment for answers under way."""
        self._server.end()
        self._thread.join(SHUTDOWN_SECONDS + 0.5)

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._ended()
