"""The endpoints."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from ..store import Store

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

FAST_COMPRESSION = 1
"""Level 9, the client library's, takes ten times as long and saves little."""

OFF_THE_LOOP_BYTES = 256 << 10
"""Bodies from this size are compressed in a thread, so that other clients need not wait."""

_PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_PAGE = _PRIVATE | {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


@dataclass(frozen=True, slots=True)
class WebOptions:
    """What the command line says of the web side."""

    telemetry_path: str = "/metrics"
    demo: bool = False
    lifecycle: bool = False


def create_app(store: Store, options: WebOptions, reload: Callable[[], None]) -> Starlette:
    """The ASGI application. ``reload`` raises an exception that says why it failed."""
    endpoints = _Endpoints(store, options, reload)
    app = Starlette(
        routes=[
            Route(options.telemetry_path, endpoints.metrics),
            Route("/", endpoints.status_page),
            Route("/-/healthy", endpoints.healthy),
            Route("/-/ready", endpoints.ready),
            Route("/-/reload", endpoints.reload, methods=["POST"]),
        ]
    )
    app.router.redirect_slashes = False
    return app


@dataclass(frozen=True, slots=True)
class _Endpoints:
    store: Store
    options: WebOptions
    reload_configuration: Callable[[], None]

    async def metrics(self, request: Request) -> Response:
        content_type = choose_encoder(request.headers.get("Accept", ""))[1]
        openmetrics = content_type.startswith("application/openmetrics-text")
        body = self.store.exposition(openmetrics=openmetrics)
        headers = _PRIVATE | {"Vary": "Accept, Accept-Encoding"}
        headers["Content-Type"] = OPENMETRICS if openmetrics else content_type
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
            body = await _compressed(body)
        return Response(body, headers=headers)

    async def status_page(self, request: Request) -> Response:
        from .page import render  # not needed by those who only scrape

        return HTMLResponse(render(self.store, self.options), headers=_PAGE)

    async def healthy(self, request: Request) -> Response:
        return _text(200, "healthy")

    async def ready(self, request: Request) -> Response:
        return _text(200, "ready") if self.store.ready else _text(503, "not every account has been polled yet")

    async def reload(self, request: Request) -> Response:
        if not self.options.lifecycle:
            return _text(403, "start with --web.enable-lifecycle to allow this")
        try:
            await asyncio.to_thread(self.reload_configuration)
        except Exception as error:
            return _text(500, str(error))
        return _text(200, "reloaded")


def _text(status: int, text: str) -> Response:
    return PlainTextResponse(text + "\n", status, _PRIVATE)


async def _compressed(body: bytes) -> bytes:
    if len(body) < OFF_THE_LOOP_BYTES:
        return gzip.compress(body, FAST_COMPRESSION)
    return await asyncio.to_thread(gzip.compress, body, FAST_COMPRESSION)


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the header names gzip, and not with a weight of 0.

    https://www.rfc-editor.org/rfc/rfc9110#field.accept-encoding
    """
    for part in accept_encoding.lower().split(","):
        coding, _, weight = part.replace(" ", "").partition(";q=")
        if coding in ("gzip", "x-gzip", "*"):
            return weight.strip("0.") != "" if weight else True
    return False
