"""Fixtures that tests of several kinds share."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
import structlog.testing
from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # how long an example takes says more of the machine
settings.load_profile("any machine")


@pytest.fixture
def private_files() -> Iterator[None]:
    """Files are written for their owner alone; about a secret that others can read, the exporter warns."""
    mask = os.umask(0o077)
    yield
    os.umask(mask)


@pytest.fixture
def restored_process() -> Iterator[None]:
    """Puts back what the exporter sets up for its whole process: logging, and what SIGINT does."""
    root = logging.getLogger()
    level, handlers, on_sigint = root.level, list(root.handlers), signal.getsignal(signal.SIGINT)
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    signal.signal(signal.SIGINT, on_sigint)


@pytest.fixture
def told() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What has been logged, above debug."""
    with structlog.testing.capture_logs() as events:
        yield lambda: [dict(event) for event in events if event["log_level"] != "debug"]
