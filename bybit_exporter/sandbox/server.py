"""The exchange on loopback: a small HTTP/1.1 server, one thread a connection, that faults can reach through.

It is no ``http.server``, whose e-mail parser would take longer than everything else in an answer.
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

from bybit_exporter.sandbox.exchange import Exchange
from bybit_exporter.sandbox.http1 import BadRequest, read_request, render
from bybit_exporter.sandbox.messages import Request, Response

LOCALHOST = "127.0.0.1"
HANDSHAKE_SECONDS = 10.0


class SandboxServer:
    """Serves an exchange on a loopback address. A context manager, or ``start()`` and ``stop()``.

    The port is bound as soon as this is made, so ``base_url`` is known before anything is served.

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
            raise ValueError(f"{host!r} is not a loopback address; the embedded exchange listens on no other")
        self.exchange = exchange
        self._host = host
        self._scheme = "https" if ssl_context else "http"
        self._listener = _Listener(exchange, LOCALHOST if host == "localhost" else host, port, ssl_context)
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port listened on, also when 0 was asked for."""
        return int(self._listener.server_address[1])

    @property
    def base_url(self) -> str:
        """What a client is given instead of the real exchange's address."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{self._scheme}://{host}:{self.port}"

    @property
    def open_connections(self) -> int:
        """Connections open right now."""
        return len(self._listener.connections)

    @property
    def accepted_connections(self) -> int:
        """Connections ever accepted; fewer than requests where they are kept alive."""
        return self._listener.accepted

    def start(self) -> SandboxServer:
        """Begin to serve, in a thread of its own."""
        serve = self._listener.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.05,), name="sandbox", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and close every connection, also those that hang. Harmless when repeated."""
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
    """Whether only this machine can reach the address."""
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

    def admit(self, connection: _Connection) -> None:
        with self._changed:
            self.accepted += 1
            self.connections.add(connection)
        if self.closing.is_set():
            connection.hang_up()

    def forget(self, connection: _Connection) -> None:
        with self._changed:
            self.connections.discard(connection)
            self._changed.notify_all()

    def close_connections(self) -> None:
        """Hang up on everybody and wait, briefly, until their threads have noticed."""
        with self._changed:
            for connection in self.connections:
                connection.hang_up()
            self._changed.wait_for(lambda: not self.connections, timeout=5.0)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves, or does not like the certificate, is no news; anything else is a bug here."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()


class _Handler(socketserver.BaseRequestHandler):
    server: _Listener
    request: socket.socket

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(self.request, self.server)
        self.server.admit(connection)
        try:
            connection.secure()
            connection.serve(str(self.client_address[0]))
        finally:
            connection.close()
            self.server.forget(connection)


class _Connection:
    """One client's connection; it is the wire that faults are played on."""

    def __init__(self, plain: socket.socket, server: _Listener) -> None:
        self._socket = plain
        self._server = server
        self._keep_alive = True

    def secure(self) -> None:
        """Speak TLS if the server does. In the connection's own thread: a handshake may take for ever."""
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
        """Answer one request after the other until somebody hangs up."""
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
                wishes_to_stay = request.headers.get("connection", "").lower() != "close"
                self._keep_alive = wishes_to_stay and request.method != "HEAD"
                self._answer(request)

    def _answer(self, request: Request) -> None:
        response = self._server.exchange.handle(request)
        fault = self._server.exchange.fault_for(request)
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
        over = self._server.closing.wait(seconds) or self._has_gone()
        if over:
            self._keep_alive = False
        return not over

    def _has_gone(self) -> bool:
        try:
            return not socket.socket.recv(self._socket, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def hang_up(self) -> None:
        """From another thread: whatever this connection waits for, it ends now."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket. The client reads an end of file, or a reset if there was one to be sent."""
        with contextlib.suppress(OSError):
            self._socket.close()
