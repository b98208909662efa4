"""TLS over an asyncio transport, by Python's `ssl.SSLObject`.

`asyncio.loop.start_tls` allocates a buffer of 256 KiB for each connection when its handshake begins. Clients that never
end their handshakes would make the exporter use more than 100 MB. A pair of `ssl.MemoryBIO` grows only with the data.

https://docs.python.org/3/library/ssl.html#memory-bio-support
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from typing import Any

RECORD_BYTES = 16 << 10
"""A TLS record has no more plaintext than this."""


class TlsTransport(asyncio.Transport):
    """The server's side of a TLS connection. Its owner passes the received data to `receive`."""

    def __init__(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        super().__init__()
        self._tcp = transport
        self._context = context
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_side=True)

    def receive(self, data: bytes) -> None:
        """Takes encrypted data from the client."""
        self._received.write(data)

    def do_handshake(self) -> bool:
        """Continues the handshake. Returns whether it has ended.

        Raises:
            ssl.SSLError: it has failed. An alert with the cause has been sent.
        """
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self._flush()
        return True

    def peer_certificate(self) -> dict[str, Any] | None:
        """The client's certificate, if there is one and the handshake has verified it."""
        return self._tls.getpeercert()

    def read(self) -> Iterator[bytes]:
        """Decrypts all received data. Closes the connection after the client's close_notify alert.

        Raises:
            ssl.SSLError: the data is not valid.
        """
        while not self.is_closing():
            try:
                data = self._tls.read(RECORD_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                data = b""
            if not data:
                self.close()
                return
            yield data
        self._flush()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if data and not self.is_closing():
            self._tls.write(data)
            self._flush()

    def close(self) -> None:
        """Sends the pending data and a close_notify alert. Does not wait for the client's alert."""
        if not self.is_closing():
            with contextlib.suppress(ssl.SSLError):  # the client's close_notify has not arrived
                self._tls.unwrap()
            self._flush()
            self._tcp.close()

    def abort(self) -> None:
        self._tcp.abort()

    def is_closing(self) -> bool:
        return self._tcp.is_closing()

    def pause_reading(self) -> None:
        self._tcp.pause_reading()

    def resume_reading(self) -> None:
        self._tcp.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._context if name == "sslcontext" else self._tcp.get_extra_info(name, default)

    def _flush(self) -> None:
        if data := self._to_send.read():
            self._tcp.write(data)
