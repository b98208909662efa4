"""Requests of reloads, while none runs and while one runs."""

from __future__ import annotations

import threading

import pytest

from bybit_exporter.cli.reload_thread import ReloadThread

DEADLINE_SECONDS = 10.0


def test_request_ends_with_its_reload_or_with_what_it_raises() -> None:
    results: list[Exception | None] = [None, ValueError("wrong"), None]

    def reload() -> None:
        if error := results.pop(0):
            raise error

    reloads = ReloadThread(reload)
    first = reloads.request()
    first.cancel()  # as for a client that leaves, which ends nothing
    first.result(DEADLINE_SECONDS)
    with pytest.raises(ValueError, match="wrong"):
        reloads.request().result(DEADLINE_SECONDS)
    reloads.request().result(DEADLINE_SECONDS)


def test_requests_during_a_reload_are_served_by_one_more_that_begins_afterwards() -> None:
    begun, may_end = threading.Semaphore(0), threading.Semaphore(0)
    inside: list[int] = []

    def reload() -> None:
        inside.append(1)
        begun.release()
        assert may_end.acquire(timeout=DEADLINE_SECONDS)

    reloads = ReloadThread(reload)
    first = reloads.request()
    assert begun.acquire(timeout=DEADLINE_SECONDS)
    others = [reloads.request() for _ in range(5)]
    may_end.release()
    first.result(DEADLINE_SECONDS)
    assert begun.acquire(timeout=DEADLINE_SECONDS)
    assert not any(other.done() for other in others), "it would not have read what has changed since the first"
    may_end.release()
    for other in others:
        other.result(DEADLINE_SECONDS)
    assert len(inside) == 2
