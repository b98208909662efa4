"""Logs to stderr, in logfmt or JSON, one line for each event."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
FORMATS = ("logfmt", "json")

_NOISY = ("uvicorn", "asyncio", "urllib3")
"""Libraries of which only errors are logged. Their other messages are about faults of clients and of the exchange, and
quote received data of any length."""


def configure(level: str, log_format: str) -> None:
    """Sets up the exporter's loggers, and forwards the log records of libraries."""
    render = structlog.processors.JSONRenderer() if log_format == "json" else _logfmt
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _prometheus_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("msg"),
            _printable,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Stderr())),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Forward()], level=LEVELS[level], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)


_logfmt = structlog.processors.LogfmtRenderer(key_order=["ts", "level", "msg"], drop_missing=True)


def _prometheus_level(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if event["level"] == "warning":
        event["level"] = "warn"
    return event


def _printable(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces control characters: texts may come from outside, and must not control a terminal."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in value)
    return event


class _Stderr:
    """Writes to stderr and ignores errors: a full disk, a closed pipe or a missing stderr must not stop a poll."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # sys.stderr is None if it was closed
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()


class _Forward(logging.Handler):
    """Forwards the log records of libraries to our logger."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger(library=record.name)
        logger.log(record.levelno, record.getMessage(), exc_info=record.exc_info)
