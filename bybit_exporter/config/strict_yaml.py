"""Strict YAML: every scalar stays a text, and duplicate keys are errors.

YAML 1.1 reads ``NO`` as false, ``010`` as 8 and ``1:30`` as 90, and PyYAML silently keeps the last of two equal keys.
Here every scalar is a text, which the caller converts. Only an empty value, ``~`` and ``null`` are `None`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from .redaction import safe_key

try:
    from yaml import CBaseLoader as _Loader
except ImportError:  # PyYAML was built without libyaml
    from yaml import BaseLoader as _Loader  # type: ignore[assignment]

Plain = Any
"""`None`, a text, a list of plain values, or a dict from texts to plain values."""

MAX_DEPTH = 50


def parse(text: str, report: Callable[[str, str], None]) -> Plain:
    """Reads a document to plain values. Problems that have a path are reported by ``report(path, problem)``.

    Raises:
        ValueError: if the text is not one YAML document. The message does not quote it.
    """
    try:
        return _Document(yaml.parse(text, _Loader), report).read()
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{where}not valid YAML: {_without_quotes(error.problem or str(error.context))}") from None
    except yaml.reader.ReaderError:
        raise ValueError("contains characters that YAML does not allow") from None


def _without_quotes(problem: str) -> str:
    """Removes the quoted parts of the file from a message: they may be parts of a secret."""
    return re.sub(r"'.*'|\".*\"", "…", problem, flags=re.DOTALL)


class _Document:
    """Builds the values from the parser's events. libyaml's own composer overflows the stack on deep nesting."""

    def __init__(self, events: Iterator[yaml.Event], report: Callable[[str, str], None]) -> None:
        self._events = events
        self._report = report
        self._anchors: dict[str, Plain] = {}

    def read(self) -> Plain:
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value = self._value(next(self._events), "", MAX_DEPTH)
        next(self._events)  # the document's end
        if not isinstance(next(self._events), yaml.StreamEndEvent):
            raise ValueError("must be a single YAML document")
        return value

    def _value(self, event: yaml.Event, path: str, depth: int) -> Plain:
        if depth == 0:
            raise ValueError(f"line {_line(event)}: nested too deeply")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise ValueError(f"line {_line(event)}: not valid YAML: found an alias without its anchor")
            return self._anchors[event.anchor]
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if event.tag is not None:
            self._report(path, f"line {_line(event)}: tags are not supported")
        value: Plain
        if isinstance(event, yaml.ScalarEvent):
            value = None if not event.style and event.value in ("", "~", "null") else event.value
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(path, depth - 1)
        else:
            value = self._mapping(path, depth - 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _sequence(self, path: str, depth: int) -> list[Plain]:
        values: list[Plain] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            values.append(self._value(event, f"{path}[{len(values)}]", depth))
        return values

    def _mapping(self, path: str, depth: int) -> dict[str, Plain]:
        mapping: dict[str, Plain] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise ValueError(f"line {line}: a key must be a word")
            key_path = f"{path}.{safe_key(event.value)}".lstrip(".")
            value = self._value(next(self._events), key_path, depth)
            if event.value in mapping:
                self._report(key_path, f"given twice, in lines {lines[event.value]} and {line}")
            else:
                mapping[event.value], lines[event.value] = value, line
        return mapping


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0
