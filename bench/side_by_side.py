"""Compares the exporter with the thirty lines that a user would otherwise write: `python -m bench thirty-lines`.

Start: from the start of the process until every coin is on ``/metrics``. Scrapes: with the headers of Prometheus, on
one connection kept alive (which the server of the thirty lines closes each time), and on a new connection each time.
Memory: after those scrapes and six polls. Both programs are measured in turns. Each ratio is the median of the ratios
of neighbouring measurements, so that other load on the machine affects both programs equally.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from .exchange import running_exchange
from .programs import EXPORTER, POLL_SECONDS, THIRTY_LINES, Program, Running
from .rendering import compare_rendering

STARTS = 8
ROUNDS = 3
POLLS = 6
SCRAPE_TURNS = 8

T = TypeVar("T")


@dataclass(slots=True)
class Row:
    """A line of the table: pairs of measurements, the exporter's first."""

    name: str
    unit: str
    per_unit: float
    aim: float
    pairs: list[tuple[float, float]] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios."""
        return statistics.median(our / their for our, their in self.pairs)

    def __str__(self) -> str:
        ours, theirs = (statistics.median(side) / self.per_unit for side in zip(*self.pairs, strict=True))
        aim = f"at most {self.aim:.2f}: {'met' if self.ratio <= self.aim else 'MISSED'}"
        return f"{self.name:36}{ours:10.2f} {self.unit}{theirs:13.2f} {self.unit}{self.ratio:9.2f}  {aim}"


class Bench:
    """Fills the rows of the table. Measures the exporter and the thirty lines in turns."""

    def __init__(self, exchange_url: str, directory: Path) -> None:
        self._exchange_url = exchange_url
        self._directory = directory
        self.start = Row("start to first figures", "ms", 1e-3, 1.25)
        self.kept_alive = Row("scrape, connection kept alive", "ms", 1e-3, 1.0)
        self.new = Row("scrape, new connection", "ms", 1e-3, 1.0)
        self.memory = {kind: Row(f"memory ({kind}) after {POLLS} polls", "MB", 1e6, 1.25) for kind in ("Rss", "Pss")}
        self.rendering = Row("rendering of the same series", "ms", 1e-3, 1.0)

    def rows(self) -> Sequence[Row]:
        return self.start, self.kept_alive, self.new, *self.memory.values(), self.rendering

    def run(self) -> None:
        self._seconds_to_start(EXPORTER)  # warm-up: compiles the modules, fills the system's cache
        self._seconds_to_start(THIRTY_LINES)
        for turn in range(STARTS):
            self.start.pairs.append(_in_turns(turn, self._seconds_to_start, EXPORTER, THIRTY_LINES))
        for turn in range(ROUNDS):
            self.run_side_by_side(turn, POLLS)
        self.rendering.pairs.extend(compare_rendering())

    def _running(self, program: Program) -> Running:
        return Running(program, self._exchange_url, self._directory)

    def _seconds_to_start(self, program: Program) -> float:
        with self._running(program) as running:
            return running.seconds_to_first_figures()

    def run_side_by_side(self, turn: int, polls: int) -> None:
        """Runs both programs at the same time: first figures, scrapes, and memory after these polls."""
        with self._running(EXPORTER) as ours, self._running(THIRTY_LINES) as theirs:
            _in_turns(turn, Running.seconds_to_first_figures, ours, theirs)
            for scrape_turn in range(SCRAPE_TURNS):
                self.kept_alive.pairs.append(_in_turns(scrape_turn, Running.seconds_to_scrape, ours, theirs))
                self.new.pairs.append(_in_turns(scrape_turn, Running.seconds_to_connect_and_scrape, ours, theirs))
            time.sleep(max(0.0, (polls - 0.5) * POLL_SECONDS - min(ours.age_seconds, theirs.age_seconds)))
            our_memory, their_memory = ours.memory_bytes(), theirs.memory_bytes()
            for kind, row in self.memory.items():
                row.pairs.append((our_memory[kind], their_memory[kind]))


def _in_turns(turn: int, measure: Callable[[T], float], ours: T, theirs: T) -> tuple[float, float]:
    """Measures both. In odd turns the second one is measured first."""
    if turn % 2:
        their_value = measure(theirs)
        return measure(ours), their_value
    return measure(ours), measure(theirs)


def main() -> None:
    """Takes about 40 seconds."""
    with running_exchange() as exchange_url, tempfile.TemporaryDirectory() as directory:
        bench = Bench(exchange_url, Path(directory))
        bench.run()
    print(f"{'':36}{EXPORTER.name:>13}{THIRTY_LINES.name:>16}{'ratio':>9}  aim")
    print(*bench.rows(), sep="\n")


def scrape_ratios() -> tuple[float, float]:
    """Our time for a scrape, divided by that of the client library's server: on a kept connection, and on new ones."""
    with running_exchange() as exchange_url, tempfile.TemporaryDirectory() as directory:
        bench = Bench(exchange_url, Path(directory))
        bench.run_side_by_side(0, polls=0)
    return bench.kept_alive.ratio, bench.new.ratio
