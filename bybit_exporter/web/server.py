"""The HTTP server: uvicorn on a thread of its own, so that signals stay with the main thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

MAX_HEAD_BYTES = 16 << 10
KEEP_ALIVE_SECONDS = 75
SHUTDOWN_SECONDS = 1


class WebServer:
    """Serves an application on a bound socket."""

    def __init__(self, app: ASGIApp, listener: socket.socket, ended: Callable[[], None]) -> None:
        self._listener = listener
        self._ended = ended
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                loop="asyncio",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=MAX_HEAD_BYTES,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the server, and waits a moment for answers under way."""
        self._server.should_exit = True
        self._thread.join(SHUTDOWN_SECONDS + 0.5)

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._ended()
