"""The endpoints."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from isal import isal_zlib
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..metrics.store import Store
from ..sharding import SINGLE_SHARD, Shard
from .status_page.page_cache import Page, PageCache
from .status_page.query import Query

T = TypeVar("T")

_log = structlog.get_logger()

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

FAST_COMPRESSION = 1
"""igzip's compression level. Level 1 gives the smallest expositions, at 2 GB/s."""

GZIP = 16 + isal_zlib.MAX_WBITS
"""The gzip format, for the ``wbits`` of zlib's functions."""

LARGE_BYTES = 1 << 20
"""Bodies from this size are sent in parts, and compressed in a thread, since that takes half a millisecond."""

MAX_PAGES_WAITING = 8
"""Maximum number of pages that are rendered or wait for that. Requests over the limit are answered 503 at once: while
they waited, their connections would keep out Prometheus."""

RELOAD_SECONDS = 30.0
"""How long a request waits for the reload to end. It is less than the time that a client has for an answer."""


@dataclass(frozen=True, slots=True)
class WebOptions:
    """The options of the command line for the web application."""

    telemetry_path: str = "/metrics"
    demo: bool = False
    lifecycle: bool = False
    shard: Shard = SINGLE_SHARD


def create_app(store: Store, options: WebOptions, request_reload: Callable[[], Future[None]]) -> Starlette:
    """Makes the ASGI application, without access control.

    ``request_reload`` returns at once. Its future ends when the reload has ended, and has an exception if it failed.
    """
    pages = PageCache(lambda query: _render(store, options, query), store.now, lambda: store.generation)
    endpoints = _Endpoints(store, options, request_reload, pages)
    app = Starlette(
        routes=[
            Route(options.telemetry_path, endpoints.metrics),
            Route("/", endpoints.status_page),
            Route("/-/healthy", endpoints.healthy),
            Route("/-/ready", endpoints.ready),
            Route("/-/documentation", endpoints.document),
            Route("/-/documentation/images/{name}", endpoints.image),
            Route("/-/documentation/{name}", endpoints.document),
            Route("/-/runbooks", endpoints.document),
            Route("/-/reload", endpoints.reload, methods=["POST"]),
        ]
    )
    app.router.redirect_slashes = False
    return app


@dataclass(slots=True)
class _Endpoints:
    store: Store
    options: WebOptions
    request_reload: Callable[[], Future[None]]
    pages: PageCache
    rendering: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Renders one page at a time, so that scrapes compete with one thread at most."""
    pages_waiting: int = 0

    async def metrics(self, request: Request) -> Response:
        accept = request.headers.get("Accept", "")
        openmetrics = 0 < quality(accept, "application/openmetrics-text") >= quality(accept, "text/plain")
        families = self.store.families(openmetrics=openmetrics)
        size = sum(sum(map(len, family)) for family in families)
        headers = {"Vary": "Accept, Accept-Encoding", "Content-Type": OPENMETRICS if openmetrics else TEXT}
        if quality(request.headers.get("Accept-Encoding", ""), "gzip", "x-gzip", "*"):
            headers["Content-Encoding"] = "gzip"
            body = await _in_thread(_compress, families) if size >= LARGE_BYTES else _compress(families)
            return Response(body, headers=headers)
        if size >= LARGE_BYTES:
            return _PartsResponse(families, headers | {"Content-Length": str(size)})
        return Response(b"".join(map(b"".join, families)), headers=headers)

    async def status_page(self, request: Request) -> Response:
        html = await self._render(self.pages.get, Query.of(request.query_params))
        from .status_page.page import CONTENT_SECURITY_POLICY  # the first page has loaded this module in its thread

        return HTMLResponse(html, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    async def _render(self, function: Callable[..., T], *args: object) -> T:
        """Renders a page in a thread, after those that wait already."""
        if self.pages_waiting >= MAX_PAGES_WAITING:
            raise HTTPException(
                503, "too many pages are waiting to be rendered\n", {"Retry-After": "1", "Connection": "close"}
            )
        self.pages_waiting += 1
        try:
            async with self.rendering:
                return await _in_thread(function, *args)
        finally:
            self.pages_waiting -= 1

    async def document(self, request: Request) -> Response:
        html, policy = await self._render(_document, request.url.path)
        headers = {"Content-Security-Policy": policy}
        return HTMLResponse(html, headers=headers) if html else _text(404, "there is no such document")

    async def image(self, request: Request) -> Response:
        from .documentation import documents

        content = documents().image(request.url.path)
        return Response(content, media_type="image/png") if content else _text(404, "there is no such image")

    async def healthy(self, request: Request) -> Response:
        return _text(200, "healthy")

    async def ready(self, request: Request) -> Response:
        return _text(200, "ready") if self.store.ready else _text(503, "not every account has been polled yet")

    async def reload(self, request: Request) -> Response:
        """Reloads the configuration, and answers when that has ended.

        Requests that arrive during a reload share the next one.
        If it takes long, for example since a file system hangs, the answer is 500 and the reload goes on.
        """
        if not self.options.lifecycle:
            return _text(403, "start with --web.enable-lifecycle to allow this")
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") or "Origin" in request.headers:
            return _text(403, "a web page may not do this")
        ended = asyncio.wrap_future(self.request_reload())
        gone = asyncio.create_task(_disconnect(request))
        await asyncio.wait([ended, gone], timeout=RELOAD_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not ended.done():
            ended.cancel()
            return _text(500, f"the reload has not ended within {RELOAD_SECONDS:g} seconds; it goes on")
        if error := ended.exception():
            return _text(500, str(error))
        return _text(200, "reloaded")


async def _in_thread(function: Callable[..., T], *args: object) -> T:
    """Runs a function in a thread. If the system allows no more threads, the answer is 503."""
    try:
        future = asyncio.get_running_loop().run_in_executor(None, function, *args)
    except RuntimeError as error:
        _log.error("a request is refused, since no thread can be started for it", error=str(error))
        raise HTTPException(503, "no thread can be started\n", {"Retry-After": "1"}) from None
    return await future


async def _disconnect(request: Request) -> None:
    """Waits until the client disconnects or the server stops."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _render(store: Store, options: WebOptions, query: Query) -> Page:
    from .status_page.page import render  # only loaded when somebody opens the page

    return render(store, query, telemetry_path=options.telemetry_path, demo=options.demo, shard=options.shard)


def _document(path: str) -> tuple[str | None, str]:
    """The page at a path, if there is one, and its Content-Security-Policy."""
    from .documentation import CONTENT_SECURITY_POLICY, documents  # only loaded when needed

    return documents().page(path), CONTENT_SECURITY_POLICY


def _text(status: int, text: str) -> Response:
    return PlainTextResponse(text + "\n", status)


class _PartsResponse(Response):
    """Joins the parts of the body one after the other, so that slow clients do not need a copy of the whole body."""

    def __init__(self, parts: Sequence[Sequence[bytes]], headers: Mapping[str, str]) -> None:
        super().__init__(headers=headers)
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for part in self._parts:
            await send({"type": "http.response.body", "body": b"".join(part), "more_body": True})
        await send({"type": "http.response.body"})


def _compress(parts: Sequence[Sequence[bytes]]) -> bytes:
    gzip = isal_zlib.compressobj(FAST_COMPRESSION, wbits=GZIP)
    return b"".join([*(gzip.compress(b"".join(part)) for part in parts), gzip.flush()])


def quality(header: str, *names: str) -> float:
    """The weight that an Accept or Accept-Encoding header gives to the first of these names that it contains.

    https://www.rfc-editor.org/rfc/rfc9110#field.accept
    """
    weights: dict[str, float] = {}
    for part in header.lower().replace(" ", "").split(","):
        name, *parameters = part.split(";")
        weight = next((text[2:] for text in parameters if text.startswith("q=")), "")
        weights[name] = max(float(weight) if _WEIGHT.fullmatch(weight) else 1.0, weights.get(name, 0.0))
    return next((weights[name] for name in names if name in weights), 0.0)


_WEIGHT = re.compile(r"[01](\.[0-9]{0,3})?")
