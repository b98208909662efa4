"""Fixtures that tests of several kinds share."""

from __future__ import annotations

import logging
import os
import resource
import signal
from collections import Counter
from collections.abc import Iterator

import pytest
import structlog
import structlog.testing
from hypothesis import settings

from tests.support import Told, require_real

settings.register_profile("any machine", deadline=None)  # how long an example takes says more of the machine
settings.load_profile("any machine")

MANY_FILES = 4096


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints one line for each reason to skip, with what to install, rather than one for each test."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        *_, reason = report.longrepr
        reasons[str(reason).removeprefix("Skipped: ")] += 1
    if reasons:
        terminalreporter.section("not tested on this machine")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count:4} test{'' if count == 1 else 's'}: {reason}")


@pytest.fixture
def many_files() -> Iterator[None]:
    """Lets this process open 4,096 files. The usual limit of an ordinary user is 1,024, which the user may raise."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    require_real(unlimited or hard >= MANY_FILES, f"a hard limit of {MANY_FILES} open files (ulimit -Hn is {hard})")
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, MANY_FILES), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def private_files() -> Iterator[None]:
    """Files are written for their owner alone; about a secret that others can read, the exporter warns."""
    mask = os.umask(0o077)
    yield
    os.umask(mask)


@pytest.fixture
def restored_process() -> Iterator[None]:
    """Puts back what the exporter sets up for its whole process: logging, what signals do, blocked signals."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    on_signal = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
    for number, handler in on_signal.items():
        signal.signal(number, handler)


@pytest.fixture
def told() -> Iterator[Told]:
    """What has been logged, above debug."""
    with structlog.testing.capture_logs() as events:
        yield lambda: [dict(event) for event in events if event["log_level"] != "debug"]
