"""The endpoints without a server: what is answered when the system or other clients leave no room."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Any
from unittest.mock import patch

import pytest
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive
from structlog.testing import capture_logs

from bybit_exporter.metrics.state import ExporterState
from bybit_exporter.metrics.store import Store
from bybit_exporter.web import app as web_app
from bybit_exporter.web.app import MAX_PAGES_WAITING, WebOptions, create_app
from bybit_exporter.web.status_page.page_cache import Page
from tests.support import FakeClock


@pytest.fixture
def app() -> ASGIApp:
    return create_app(Store(ExporterState(True, 0.0), FakeClock()), WebOptions(), Future)


async def get(app: ASGIApp, path: str, query: str = "") -> tuple[int, Headers, bytes]:
    sent: list[Message] = []
    scope = {"type": "http", "path": path, "method": "GET", "headers": [], "query_string": query.encode()}
    scope["server"] = ("127.0.0.1", 9836)

    async def send(message: Message) -> None:
        sent.append(message)

    receive: Receive = asyncio.Event().wait  # type: ignore[assignment]  # no request has a body
    await app(scope, receive, send)
    return sent[0]["status"], Headers(raw=sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize("path", ["/", "/-/runbooks"])
def test_page_without_a_thread_is_answered_503_and_logged_in_one_line(app: ASGIApp, path: str) -> None:
    async def ask() -> tuple[int, Headers, bytes]:
        with patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread")):
            refused = await get(app, path)
        assert (await get(app, path))[0] == 200
        return refused

    with capture_logs() as logs:
        status, headers, _ = asyncio.run(ask())
    assert (status, headers["Retry-After"]) == (503, "1")
    assert [(event["log_level"], event.get("error"), "exc_info" in event) for event in logs] == [
        ("error", "can't start new thread", False)
    ]


def test_page_over_the_limit_is_refused_at_once_and_metrics_are_not(
    app: ASGIApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_render, render = threading.Event(), web_app._render

    def render_later(*args: Any) -> Page:
        may_render.wait(10)
        return render(*args)

    async def ask() -> None:
        waiting = [asyncio.create_task(get(app, "/", f"q={number}")) for number in range(MAX_PAGES_WAITING)]
        await asyncio.sleep(0)
        for path in ("/", "/-/documentation"):
            status, headers, _ = await get(app, path)
            assert (status, headers["Retry-After"], headers["Connection"]) == (503, "1", "close")
        assert (await get(app, "/metrics"))[0] == 200
        may_render.set()
        assert [status for status, _, _ in await asyncio.gather(*waiting)] == [200] * MAX_PAGES_WAITING
        assert (await get(app, "/"))[0] == 200

    monkeypatch.setattr(web_app, "_render", render_later)
    asyncio.run(ask())
