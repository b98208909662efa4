"""The format of the log: each event is one line, in both formats, with any content."""

from __future__ import annotations

import contextlib
import json
import logging
import re

import pytest
import structlog

from bybit_exporter import log

pytestmark = pytest.mark.usefixtures("restored_process")

Captured = pytest.CaptureFixture[str]


def lines(capsys: Captured) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_event_as_logfmt_is_one_line(capsys: Captured) -> None:
    log.configure("info", "logfmt")
    structlog.get_logger().info("it happened", account="main wallet", count=3)
    (line,) = lines(capsys)
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"
    assert re.fullmatch(rf'ts={stamp} level=info msg="it happened" account="main wallet" count=3', line)


def test_event_as_json_is_one_object(capsys: Captured) -> None:
    log.configure("info", "json")
    structlog.get_logger().info("it happened", account='a "quoted"\nname', count=3)
    (line,) = lines(capsys)
    event = json.loads(line)
    assert event.pop("ts")
    assert event == {"level": "info", "msg": "it happened", "account": 'a "quoted"\nname', "count": 3}


@pytest.mark.parametrize("level", ["debug", "info", "warn", "error"])
def test_level_filters_events(capsys: Captured, level: str) -> None:
    log.configure(level, "json")
    logger = structlog.get_logger()
    for name in ("debug", "info", "warning", "error"):
        getattr(logger, name)("it happened")
        getattr(logging.getLogger("some.library"), name)("it happened there")
    names = ["debug", "info", "warn", "error"]
    expected = [name for name in names[names.index(level) :] for _ in range(2)]
    assert [json.loads(line)["level"] for line in lines(capsys)] == expected


def test_record_of_a_library_is_logged_with_its_name(capsys: Captured) -> None:
    log.configure("info", "json")
    logging.getLogger("some.library").warning("retrying %s", "once")
    (line,) = lines(capsys)
    event = json.loads(line)
    assert (event["library"], event["msg"]) == ("some.library", "retrying once")


def test_faults_of_clients_are_not_logged(capsys: Captured) -> None:
    log.configure("debug", "json")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("asyncio").debug("Using selector")
    logging.getLogger("urllib3.connection").warning("Failed to parse headers: %s", "anything")
    assert lines(capsys) == []


@pytest.mark.parametrize("log_format", log.FORMATS)
def test_event_with_a_traceback_is_one_line(capsys: Captured, log_format: str) -> None:
    log.configure("info", log_format)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        structlog.get_logger().exception("a fault")
    (line,) = lines(capsys)
    assert "ValueError" in line
    assert "level=error" in line or '"level": "error"' in line


@pytest.mark.parametrize("log_format", log.FORMATS)
def test_control_characters_in_an_event_are_replaced(capsys: Captured, log_format: str) -> None:
    log.configure("info", log_format)
    structlog.get_logger().info("it happened", answer="\x1b[2J\x9b\u202e\r\x00", other="a\nb")
    (line,) = lines(capsys)
    assert line.isprintable()


def test_log_that_cannot_be_written_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    log.configure("info", "logfmt")
    with open("/dev/full", "w") as full:  # noqa: PTH123
        monkeypatch.setattr("sys.stderr", full)
        structlog.get_logger().info("it happened")
        with contextlib.suppress(OSError):
            full.close()
    structlog.get_logger().info("it happened again")
    monkeypatch.setattr("sys.stderr", None)
    structlog.get_logger().info("it happened once more")
