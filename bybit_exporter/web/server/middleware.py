"""What every request passes before the application sees it, and every answer on its way out."""

from __future__ import annotations

import ipaddress
import re
import socket

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import auth
from .reloader import LiveWebConfig, Rules

PROBES = ("/-/healthy", "/-/ready")
"""They tell no figure: whoever restarts a container must be able to ask without a password."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
"""On each answer that does not set them itself."""

FOREIGN_NAME = (
    "This host name is not this machine's, so the request may come from a web page that rebinds its name.\n"
    "Ask by address or as localhost, let the proxy in front send such a Host header, or set a password.\n"
)


class Guard:
    """ASGI middleware: bodies, rate limit, foreign host names, password; and headers on every answer.

    ``on_loopback`` says that only this machine can connect. A browser on it can, too, on behalf of any web page whose
    name its owner points at 127.0.0.1; so without a password only names of this machine are answered.
    """

    def __init__(self, app: ASGIApp, live: LiveWebConfig, *, on_loopback: bool) -> None:
        self._app = app
        self._live = live
        self._on_loopback = on_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rules = self._live.rules

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(raw=message["headers"]), rules)
            await send(message)

        answer = await self._refusal(scope, rules) or self._app
        await answer(scope, receive, send_with_headers)

    async def _refusal(self, scope: Scope, rules: Rules) -> Response | None:
        headers = Headers(scope=scope)
        if headers.get("Content-Length", "0").strip("0") or "Transfer-Encoding" in headers:
            return _refuse(413, "No path takes a body.\n", {"Connection": "close"})
        if scope["path"] in PROBES and scope["method"] in ("GET", "HEAD"):
            return None
        if rules.bucket and not rules.bucket.take():
            return _refuse(429, "Too Many Requests\n", {"Retry-After": "1"})
        if self._on_loopback and not rules.config.private and not is_local_name(headers.get("Host", "")):
            return _refuse(421, FOREIGN_NAME)
        if rules.verifier and (refusal := await _unauthorized(scope, headers, rules.verifier)):
            return refusal
        return None


async def _unauthorized(scope: Scope, headers: Headers, verifier: auth.Verifier) -> Response | None:
    """The same for every path, whether there is something behind it or not."""
    credentials = auth.parse(headers.get("Authorization", ""))
    peer = scope["client"][0] if scope.get("client") else ""
    try:
        if credentials and await verifier.accepts(credentials, peer):
            return None
    except auth.TooManyGuesses:
        return _refuse(429, "Too Many Requests\n", {"Retry-After": "1"})
    return _refuse(401, "Unauthorized\n", {"WWW-Authenticate": 'Basic realm="restricted", charset="UTF-8"'})


def _refuse(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(text, status, headers)


def add_headers(headers: MutableHeaders, rules: Rules) -> None:
    """Ours where the answer has none, and over everything those of the web configuration."""
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    for name, value in rules.config.headers.items():
        headers[name] = value


def is_local_name(host: str) -> bool:
    """Whether no web page can have made a browser send this ``Host``: an address, this machine's name, or a bare name.

    Whoever owns a domain can point its names anywhere, but owns no name without a dot. A browser always sends one.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.lower().rstrip(".")
    if re.fullmatch("[a-z0-9_-]*", name) or name == socket.gethostname().lower() or name.endswith(".localhost"):
        return True
    try:
        return bool(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return False
