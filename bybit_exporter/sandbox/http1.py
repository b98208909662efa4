"""A minimal HTTP/1.1 for loopback: reads requests strictly, renders a response in one piece."""

from __future__ import annotations

import sys
from email.utils import formatdate
from http import HTTPStatus
from typing import BinaryIO

from bybit_exporter.sandbox.messages import Request, Response

MAX_LINE = 16 * 1024
MAX_HEADERS = 100
MAX_BODY = 64 * 1024

_REASONS = {status.value: status.phrase for status in HTTPStatus}


class BadRequest(Exception):
    """The request is malformed or exceeds a limit."""


def read_request(reader: BinaryIO, source: str) -> Request | None:
    """Read the next request of a connection. None: the connection has ended.

    Raises:
        BadRequest: the request is malformed or exceeds a limit.
    """
    line = _read_line(reader)
    if not line:
        return None
    method, target, version = _split_request_line(line)
    path, _, query = target.partition("?")
    headers = _read_headers(reader)
    if version == "HTTP/1.0":
        headers.setdefault("connection", "close")
    return Request(method, path, query, headers, _read_body(reader, headers), source)


def render(response: Response, keep_alive: bool = True) -> bytes:
    """Head and body. Content-Length is added unless the response has one."""
    return render_head(response, keep_alive) + response.body


def render_head(response: Response, keep_alive: bool = True) -> bytes:
    """The status line and the headers."""
    headers = {
        "Date": formatdate(response.time_ms / 1000, usegmt=True),
        "Content-Length": str(len(response.body)),
        "Connection": "keep-alive" if keep_alive else "close",
        **response.headers,
    }
    lines = [f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _read_line(reader: BinaryIO) -> str:
    line = reader.readline(MAX_LINE + 1)
    if len(line) > MAX_LINE:
        raise BadRequest("line too long")
    return line.decode("latin-1")


def _split_request_line(line: str) -> tuple[str, str, str]:
    parts = line.rstrip("\r\n").split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.0", "HTTP/1.1"):
        raise BadRequest("not an HTTP/1.1 request line")
    if not (parts[0].isalpha() and parts[0].isupper() and parts[1].startswith("/")):
        raise BadRequest("a method in capitals and a path are needed")
    return parts[0], parts[1], parts[2]


def _read_headers(reader: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS + 1):
        line = _read_line(reader)
        if line in ("\r\n", "\n"):
            return headers
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest("malformed header")
        name, value = sys.intern(name.lower()), value.strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    raise BadRequest("too many headers")


def _read_body(reader: BinaryIO, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _read_chunks(reader)
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not length.isdecimal():
        raise BadRequest("the body's length is not known")
    return _read_exactly(reader, int(length))


def _read_chunks(reader: BinaryIO) -> bytes:
    body = b""
    while True:
        try:
            size = int(_read_line(reader).split(";")[0], 16)
        except ValueError:
            raise BadRequest("malformed chunk") from None
        body += _read_exactly(reader, size)
        _read_line(reader)
        if size == 0:
            return body
        if len(body) > MAX_BODY:
            raise BadRequest("body too large")


def _read_exactly(reader: BinaryIO, size: int) -> bytes:
    if not 0 <= size <= MAX_BODY:
        raise BadRequest("body too large")
    data = reader.read(size)
    if len(data) < size:
        raise BadRequest("body cut off")
    return data
