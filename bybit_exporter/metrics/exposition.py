"""Families of metrics, and their lines in the Prometheus text format and in OpenMetrics.

The sample lines of both formats are the same; only the headers of counters differ, so stored bytes serve both.

Format: https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, Literal, TypeVar

from prometheus_client.utils import floatToGoString

S = TypeVar("S")
Samples = Iterable[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Family(Generic[S]):
    """A metric family. `samples` yields the label text that follows that of the whole state, and the value."""

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
        """The sample lines of a state. ``labels`` are those of all of them, each after a comma."""
        if labels:
            head = f"{self.name}{{{labels[1:]}"
            # What the library leaves as Python writes it is not taken through its hands.
            return "".join(
                [
                    f"{head}{more}}} {repr(float(value)) if -1e6 < value < 1e6 else number(value)}\n"
                    for more, value in self.samples(state)
                ]
            ).encode()
        samples = ((more[1:], number(value)) for more, value in self.samples(state))
        return "".join([f"{self.name}{{{m}}} {v}\n" if m else f"{self.name} {v}\n" for m, v in samples]).encode()


number: Callable[[float], str] = floatToGoString
"""The client library's text of a number."""


@lru_cache(maxsize=8192)
def label(name: str, value: str) -> str:
    """``,name="value"`` with the value escaped as both formats demand."""
    escaped = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f',{name}="{escaped}"'
