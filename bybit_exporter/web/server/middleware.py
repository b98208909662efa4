"""Access control for every request, and the security headers of every answer."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import auth
from .reloader import AccessRules, WebConfigReloader

PROBES = ("/-/healthy", "/-/ready")
"""Paths without access control: a container's health check has no password. Their answers contain no figures."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
"""Default headers of every answer."""

FOREIGN_HOST = (
    "This host name does not belong to this machine. The request may come from a web page that uses DNS rebinding.\n"
    "Use an IP address or localhost, let the reverse proxy send such a Host header, or set a password.\n"
)


class AccessMiddleware:
    """ASGI middleware: refuses bodies, requests over the rate limit, foreign host names and wrong passwords.

    ``loopback_addresses`` are the listeners' addresses that only this machine can reach. A browser on this machine can
    reach them, too, on behalf of any web page whose host name resolves to 127.0.0.1 (DNS rebinding). So without a
    password these listeners answer only host names of this machine.
    """

    def __init__(
        self, app: ASGIApp, reloader: WebConfigReloader, loopback_addresses: Collection[tuple[str, int]] = ()
    ) -> None:
        self._app = app
        self._reloader = reloader
        self._loopback_addresses = loopback_addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rules = self._reloader.rules
        scope = _with_path(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(raw=message["headers"]), rules)
            await send(message)

        answer = await self._refusal(scope, rules) or self._app
        await answer(scope, receive, send_with_headers)

    async def _refusal(self, scope: Scope, rules: AccessRules) -> Response | None:
        headers = Headers(scope=scope)
        if headers.get("Content-Length", "0").strip("0") or "Transfer-Encoding" in headers:
            return PlainTextResponse("Requests with a body are not accepted.\n", 413, {"Connection": "close"})
        if scope["path"] in PROBES and scope["method"] in ("GET", "HEAD"):
            return None
        if rules.rate_limiter and not rules.rate_limiter.take():
            return PlainTextResponse("Too Many Requests\n", 429, {"Retry-After": "1"})
        host, port = scope["server"]
        is_foreign = (host, port) in self._loopback_addresses and not is_local_name(headers.get("Host", ""))
        if is_foreign and not rules.config.requires_authentication:
            return PlainTextResponse(FOREIGN_HOST, 421)
        if rules.verifier:
            return await _check_password(scope, headers, rules.verifier)
        return None


def _with_path(scope: Scope) -> Scope:
    """Replaces an absolute URL as the request's target by its path; then its authority counts instead of ``Host``.

    https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
    """
    url = re.fullmatch(rb"https?://([^/]+)(/.*)?", scope["raw_path"], re.IGNORECASE)
    if url is None:
        return scope
    path = url[2] or b"/"
    headers = [(b"host", url[1]), *(header for header in scope["headers"] if header[0] != b"host")]
    return {**scope, "path": unquote(path.decode()), "raw_path": path, "headers": headers}


async def _check_password(scope: Scope, headers: Headers, verifier: auth.PasswordVerifier) -> Response | None:
    """Refuses a password that is wrong or could not be checked. The answer is the same for every path."""
    credentials = auth.parse(headers.get("Authorization", ""))
    peer = scope["client"][0] if scope.get("client") else ""
    try:
        if credentials and await verifier.verify(credentials, peer):
            return None
    except auth.TooManyChecks:
        return PlainTextResponse("Too Many Requests\n", 429, {"Retry-After": "1"})
    except auth.CheckFailed:
        return PlainTextResponse("Service Unavailable\n", 503, {"Retry-After": "1"})
    challenge = 'Basic realm="restricted", charset="UTF-8"'
    return PlainTextResponse("Unauthorized\n", 401, {"WWW-Authenticate": challenge})


def add_headers(headers: MutableHeaders, rules: AccessRules) -> None:
    """Adds the default headers that are missing, and sets those of the web configuration."""
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    for name, value in rules.config.headers.items():
        headers[name] = value


def is_local_name(host: str) -> bool:
    """Whether a ``Host`` header is an IP address, this machine's name, or a name without a dot.

    DNS rebinding needs a domain of the attacker, which has a dot. An empty ``Host`` is not from a browser.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.lower().rstrip(".")
    if re.fullmatch("[a-z0-9_-]*", name) or name == socket.gethostname().lower() or name.endswith(".localhost"):
        return True
    try:
        return bool(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return False
