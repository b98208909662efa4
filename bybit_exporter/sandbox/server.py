"""The server of the embedded exchange: HTTP/1.1 on loopback, a thread for each connection, on which faults are played.

``http.server`` is not used: its parser of headers takes longer than all the rest of an answer.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import socketserver
import ssl
import struct
import sys
import threading
import traceback
from types import TracebackType

from bybit_exporter.sandbox.api import fault_for, handle
from bybit_exporter.sandbox.exchange import Exchange
from bybit_exporter.sandbox.http1 import BadRequest, read_request, render
from bybit_exporter.sandbox.messages import Request, Response

LOCALHOST = "127.0.0.1"
HANDSHAKE_SECONDS = 10.0


class SandboxServer:
    """Serves an exchange on a loopback address. A context manager, or ``start()`` and ``stop()``.

    The port is bound by the constructor, so ``base_url`` is known before the server starts.

    Raises:
        ValueError: ``host`` is not loopback.
        OSError: the address cannot be listened on.
    """

    def __init__(
        self,
        exchange: Exchange,
        host: str = LOCALHOST,
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if not is_loopback(host):
            raise ValueError(f"{host!r} is not a loopback address; the embedded exchange listens on loopback only")
        self.exchange = exchange
        self._host = host
        self._scheme = "https" if ssl_context else "http"
        self._listener = _Listener(exchange, LOCALHOST if host == "localhost" else host, port, ssl_context)
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port it listens on, also when the given port was 0."""
        return int(self._listener.server_address[1])

    @property
    def base_url(self) -> str:
        """The base URL for clients."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{self._scheme}://{host}:{self.port}"

    @property
    def open_connections(self) -> int:
        """Number of open connections."""
        return len(self._listener.connections)

    @property
    def accepted_connections(self) -> int:
        """Number of connections accepted so far; fewer than requests if clients keep them alive."""
        return self._listener.accepted

    def start(self) -> SandboxServer:
        """Start serving in a thread."""
        serve = self._listener.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.05,), name="sandbox", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and close every connection, also those that hang. May be called again."""
        self._listener.closing.set()
        if self._thread:
            self._listener.shutdown()
            self._thread.join()
            self._thread = None
        self._listener.server_close()
        self._listener.close_connections()

    def __enter__(self) -> SandboxServer:
        return self.start()

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.stop()


def is_loopback(host: str) -> bool:
    """Whether the address is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 1024

    def __init__(self, exchange: Exchange, host: str, port: int, ssl_context: ssl.SSLContext | None) -> None:
        self.exchange = exchange
        self.ssl_context = ssl_context
        self.closing = threading.Event()
        self.accepted = 0
        self.connections: set[_Connection] = set()
        self._changed = threading.Condition()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def register(self, connection: _Connection) -> None:
        with self._changed:
            self.accepted += 1
            self.connections.add(connection)
        if self.closing.is_set():
            connection.shut_down()

    def unregister(self, connection: _Connection) -> None:
        with self._changed:
            self.connections.discard(connection)
            self._changed.notify_all()

    def close_connections(self) -> None:
        """Shut down all connections and wait for their threads, for a few seconds at most."""
        with self._changed:
            for connection in self.connections:
                connection.shut_down()
            self._changed.wait_for(lambda: not self.connections, timeout=5.0)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect or reject the certificate. Anything else is a defect: print it."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()


class _Handler(socketserver.BaseRequestHandler):
    server: _Listener
    request: socket.socket

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(self.request, self.server)
        self.server.register(connection)
        try:
            connection.start_tls()
            connection.serve(str(self.client_address[0]))
        finally:
            connection.close()
            self.server.unregister(connection)


class _Connection:
    """One connection of a client; the :class:`Wire` of faults."""

    def __init__(self, plain: socket.socket, server: _Listener) -> None:
        self._socket = plain
        self._server = server
        self._keep_alive = True

    def start_tls(self) -> None:
        """Start TLS if the server uses it. Called in the connection's thread, because a handshake may hang."""
        if self._server.ssl_context is None:
            return
        self._socket.settimeout(HANDSHAKE_SECONDS)
        self._socket = self._server.ssl_context.wrap_socket(
            self._socket, server_side=True, do_handshake_on_connect=False
        )
        assert isinstance(self._socket, ssl.SSLSocket)
        self._socket.do_handshake()
        self._socket.settimeout(None)

    def serve(self, source: str) -> None:
        """Answer requests until one side closes the connection."""
        reader = self._socket.makefile("rb")
        with contextlib.suppress(OSError), reader:
            while self._keep_alive and not self._server.closing.is_set():
                try:
                    request = read_request(reader, source)
                except BadRequest as error:
                    self.send(render(Response(400, str(error).encode()), keep_alive=False))
                    return
                if request is None:
                    return
                client_keeps_alive = request.headers.get("connection", "").lower() != "close"
                self._keep_alive = client_keeps_alive and request.method != "HEAD"
                self._answer(request)

    def _answer(self, request: Request) -> None:
        exchange = self._server.exchange
        response, fault = handle(exchange, request), fault_for(exchange, request)
        if fault:
            fault.play(self, response)
        else:
            self.respond(response)

    def respond(self, response: Response) -> None:
        """See :class:`Wire`."""
        self._socket.sendall(render(response, self._keep_alive))

    def send(self, data: bytes) -> None:
        """See :class:`Wire`."""
        self._keep_alive = False
        self._socket.sendall(data)

    def reset(self) -> None:
        """See :class:`Wire`."""
        self._keep_alive = False
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def pause(self, seconds: float) -> bool:
        """See :class:`Wire`."""
        over = self._server.closing.wait(seconds) or self._client_disconnected()
        if over:
            self._keep_alive = False
        return not over

    def _client_disconnected(self) -> bool:
        try:
            return not socket.socket.recv(self._socket, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def shut_down(self) -> None:
        """End the connection now, whatever it waits for. Called from other threads."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket. The client reads an end of file, or a reset after :meth:`reset`."""
        with contextlib.suppress(OSError):
            self._socket.close()
