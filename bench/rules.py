"""What the alert rules cost with 1,000 accounts of 20 coins and an hour's history: `python -m bench rules`.

A real Prometheus has the history in memory and evaluates the rules at their intervals. It reports for each group how
long the latest evaluation took. On a busy machine that includes waiting for the processor, so the shortest evaluation
of a group is shown beside the median.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import cpu_count
from pathlib import Path

from bybit_exporter import durations

from .history import STEP_SECONDS, Prometheus, prometheus_with_history, series_of

RULES = Path(__file__).parent.parent / "prometheus" / "alerts.yml"
ACCOUNTS = 1000
HISTORY_SECONDS = 3660
EVALUATIONS = 5
WATCHED_SECONDS = 900.0


@dataclass(slots=True)
class Group:
    """A group of rules, and how long its evaluations took, by their time."""

    interval: float
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def shortest(self) -> float:
        return min(self.seconds.values())

    @property
    def median(self) -> float:
        return statistics.median(self.seconds.values())


def main() -> None:
    """Prints a row for each group, and their sum."""
    series = series_of(ACCOUNTS, time.time())
    with (
        tempfile.TemporaryDirectory() as directory,
        prometheus_with_history(Path(directory), series, HISTORY_SECONDS) as prometheus,
    ):
        prometheus.load_rules(RULES)
        groups = _watched(prometheus)
    print(f"\n{len(series):,} series, an hour's history, {cpu_count()} cores\n")
    print("| group | every | shortest | median |\n| --- | --- | --- | --- |")
    for name, group in groups.items():
        print(f"| {name} | {durations.show(group.interval)} | {group.shortest:.3f} s | {group.median:.3f} s |")
    for title, share in (
        ("all, evaluated at the same time", lambda group: 1.0),
        (f"all, on average every {STEP_SECONDS} s", lambda group: STEP_SECONDS / group.interval),
    ):
        shortest = sum(group.shortest * share(group) for group in groups.values())
        median = sum(group.median * share(group) for group in groups.values())
        print(f"| **{title}** | | **{shortest:.3f} s** | **{median:.3f} s** |")


def _watched(prometheus: Prometheus) -> Mapping[str, Group]:
    """The groups, once each has been evaluated often enough."""
    groups: dict[str, Group] = {}
    deadline = time.monotonic() + WATCHED_SECONDS
    while not groups or any(len(group.seconds) < EVALUATIONS for group in groups.values()):
        if time.monotonic() > deadline:
            raise RuntimeError("the groups were not evaluated in time")
        for answer in prometheus.get("rules")["groups"]:
            group = groups.setdefault(answer["name"], Group(answer["interval"]))
            if not answer["lastEvaluation"].startswith("0001"):  # it has been evaluated
                group.seconds[answer["lastEvaluation"]] = answer["evaluationTime"]
        time.sleep(1)
    return groups


if __name__ == "__main__":
    main()
