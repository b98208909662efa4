"""The common part of all configuration files: reads mappings key by key, and collects all problems."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from .. import durations
from . import strict_yaml
from .redaction import looks_like_secret, safe_key

T = TypeVar("T")

MAX_FILE_BYTES = 16 << 20
MAX_PATH_CHARACTERS = 300

LONGEST_SECONDS = 100 * 31_536_000.0
"""100 years. Without a limit, the date of the next poll could be one that Python cannot show (after the year 9999)."""


class ConfigError(Exception):
    """The configuration is wrong. Each problem is one sentence, and none of them shows a secret."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(path: str | Path, read: Callable[[Section], T]) -> T:
    """Reads a YAML file. ``read`` converts its top-level mapping.

    Raises:
        ConfigError: with every problem found.
    """
    problems: list[str] = []
    name = _printable(str(path))

    def report(where: str, problem: str) -> None:
        problems.append(f"{name}: {where}: {problem}" if where else f"{name}: {problem}")

    try:
        document = strict_yaml.parse(read_text(Path(path), MAX_FILE_BYTES), report)
    except OSError as error:
        raise ConfigError([f"{name}: cannot be read: {error.strerror}"]) from None
    except ValueError as error:
        raise ConfigError([f"{name}: {error}"]) from None
    top = Section({} if document is None else document, "", report)
    result = read(top)
    if problems:
        raise ConfigError(problems)
    return result


def read_text(path: Path, limit: int) -> str:
    """Reads a text file of at most ``limit`` bytes. Raises OSError, or ValueError if the file or its content is wrong.

    A pipe or a device is refused, since reading it may never end.
    """
    with _open(path) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("is not a regular file")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"is larger than {limit} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None


def _open(path: Path) -> BinaryIO:
    """Opens a file without waiting, also a pipe. Raises OSError, or ValueError if no file can have this path."""
    try:
        return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    except ValueError:
        raise ValueError("cannot be read: its path contains a character that no path may have") from None


def read_named_file(name: str, directory: Path, limit: int) -> str:
    """Reads a text file that the configuration names. Raises ValueError with the problem.

    The message has the path, unless the content of the file may have been given for it.
    """
    path = directory / name
    try:
        return read_text(path, limit)
    except OSError as error:
        if looks_like_secret(name):
            advice = "must be the path of a file, not its content"
            raise ValueError(f"the file cannot be read: {error.strerror}; {advice}") from None
        quoted = quote(str(path.absolute()), MAX_PATH_CHARACTERS)
        raise ValueError(f"the file {quoted} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"the file {error}") from None


class Section:
    """A mapping in the file. Each key is read once; wrong, missing and unknown keys are reported."""

    def __init__(self, value: Any, path: str, report: Callable[[str, str], None]) -> None:
        self.path = path
        self.is_mapping = isinstance(value, dict)
        self._report = report
        self._values: dict[str, Any] = value if self.is_mapping else {}
        if not self.is_mapping:
            report(path, "must be a mapping of keys to values")
        self._known: list[str] = []

    def report(self, key: str, problem: str) -> None:
        self._report(f"{self.path}.{key}".strip("."), problem)

    @property
    def is_empty(self) -> bool:
        return not self._values

    def has(self, key: str) -> bool:
        return key in self._values

    def is_section(self, key: str) -> bool:
        return isinstance(self._values.get(key), dict)

    def optional(self, key: str, convert: Callable[[Any], T], default: T) -> T:
        """The converted value; the default if the key is absent or its value wrong (which is reported)."""
        self._known.append(key)
        if key not in self._values:
            return default
        try:
            return convert(self._values[key])
        except ValueError as error:
            self.report(key, str(error))
            return default

    def require(self, key: str, convert: Callable[[Any], T], default: T) -> T:
        """Like `optional`; an absent key is a problem."""
        if key not in self._values:
            self.report(key, "missing")
        return self.optional(key, convert, default)

    def section(self, key: str) -> Section:
        self._known.append(key)
        value = self._values.get(key)
        return Section({} if value is None else value, f"{self.path}.{key}".strip("."), self._report)

    def items(self, key: str) -> list[Section]:
        """The entries of a list that must have at least one. Each entry must be a mapping."""
        self._known.append(key)
        values = self._values.get(key)
        if not isinstance(values, list) or not values:
            self.report(key, "missing" if values is None else "must be a list of at least one entry")
            return []
        sections = [
            Section(value, f"{self.path}.{key}[{i}]".strip("."), self._report) for i, value in enumerate(values)
        ]
        return [section for section in sections if section.is_mapping]

    def finish(self) -> None:
        """Reports the keys that were not read, as unknown."""
        for key in (key for key in self._values if key not in self._known):
            similar = difflib.get_close_matches(key, self._known, n=1)
            hint = f"did you mean {similar[0]}?" if similar else f"known here: {', '.join(self._known)}"
            self.report(safe_key(key), f"unknown key; {hint}")


def text(value: Any) -> str:
    """Converter of a text that must not be empty. All converters raise ValueError, with the problem as its message."""
    if value is None or value == "":
        raise ValueError("is empty")
    if not isinstance(value, str):
        raise ValueError("must be a single value")
    return value


def boolean(value: Any) -> bool:
    """Converter of true and false, and of the other words that YAML 1.1 has for them."""
    word = text(value).lower()
    if word not in ("true", "yes", "on", "false", "no", "off"):
        raise ValueError(f"{quote(value)} is neither true nor false")
    return word in ("true", "yes", "on")


def duration(shortest: float, longest: float = LONGEST_SECONDS) -> Callable[[Any], float]:
    """Converter of a duration, to seconds. Both bounds are in seconds."""

    def convert(value: Any) -> float:
        given = text(value)
        try:
            seconds = durations.parse(given)
        except ValueError:
            raise ValueError(f"{quote(given)} is not a duration such as 30s or 1m30s") from None
        if not shortest <= seconds <= longest:
            bounds = f"{durations.show(shortest)} to {durations.show(longest)}"
            raise ValueError(f"{quote(given)} is outside of {bounds}")
        return seconds

    return convert


def one_of(choices: Iterable[str]) -> Callable[[Any], str]:
    """Converter of a word that must be one of the choices."""

    def convert(value: Any) -> str:
        if text(value) not in choices:
            raise ValueError(f"{quote(value)} is not one of {', '.join(choices)}")
        return str(value)

    return convert


def quote(text: str, limit: int = 60) -> str:
    """Quotes the beginning of a text for an error message: on one line, at most ``limit`` characters.

    Only for texts: mappings and lists are never quoted, since they may contain a secret by mistake.
    """
    quoted = _printable(json.dumps(text, ensure_ascii=False))
    return quoted if len(quoted) <= limit else quoted[: limit - 1] + "…"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def warnings_of(paths: Iterable[Path]) -> list[str]:
    """Returns a warning for each file that every user of the machine can read: these files hold secrets.

    Missing files are ignored, and so are invalid paths, which reading has reported.
    """
    warnings = []
    for path in dict.fromkeys(paths):
        with contextlib.suppress(OSError, ValueError):
            if path.stat().st_mode & stat.S_IROTH:
                problem = "holds a secret, and every user of this machine can read it"
                warnings.append(f"{path} {problem}; try: chmod o-r {path}")
    return warnings
