"""Families of metrics, and their lines in the Prometheus text format and in OpenMetrics.

The sample lines of both formats are the same; only the headers of counters differ, so stored bytes serve both.

Format: https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, Literal, SupportsFloat, TypeVar

from prometheus_client.utils import floatToGoString

S = TypeVar("S")
Samples = Iterable[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Family(Generic[S]):
    """A metric family. For each sample, `samples` yields the text of its own labels, and its value."""

    name: str
    type: Literal["gauge", "counter"]
    help: str
    labels: tuple[str, ...]
    samples: Callable[[S], Samples]

    def header(self, *, openmetrics: bool) -> bytes:
        """The HELP and TYPE lines. OpenMetrics names a counter's family without ``_total``."""
        name = self.name.removesuffix("_total") if openmetrics and self.type == "counter" else self.name
        return f"# HELP {name} {self.help}\n# TYPE {name} {self.type}\n".encode()

    def lines(self, labels: str, state: S) -> bytes:
        """Renders the sample lines of a state. ``labels`` is the text of the labels that all of them share.

        Texts of labels are as `label` makes them, with a comma before each label.
        """
        if labels:
            prefix = f"{self.name}{{{labels[1:]}"
            # In this range Python's text equals the library's, and is faster.
            return "".join(
                [
                    f"{prefix}{own}}} {repr(float(value)) if -1e6 < value < 1e6 else number(value)}\n"
                    for own, value in self.samples(state)
                ]
            ).encode()
        samples = ((own[1:], number(value)) for own, value in self.samples(state))
        return "".join([f"{self.name}{{{own}}} {v}\n" if own else f"{self.name} {v}\n" for own, v in samples]).encode()


def optional(read: Callable[[S], SupportsFloat | None]) -> Callable[[S], Samples]:
    """Returns a function that gives one sample without labels of its own, or none if the value is None."""

    def samples(state: S) -> Samples:
        value = read(state)
        return () if value is None else (("", float(value)),)

    return samples


number: Callable[[float], str] = floatToGoString
"""Formats a number as the client library does."""


@lru_cache(maxsize=8192)
def label(name: str, value: str) -> str:
    """Formats a label as ``,name="value"``, with the value escaped as both formats demand."""
    escaped = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f',{name}="{escaped}"'
