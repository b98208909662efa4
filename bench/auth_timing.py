"""Measures whether the duration of a refusal reveals which user names exist: `python -m bench.auth_timing`.

Sends requests to a running exporter on one connection, with a wrong password, in turns as an existing
and as an unknown user. If both distributions are the same, the Mann-Whitney statistic below is normally distributed
with mean 0 and deviation 1. Beyond ±3, the duration would reveal the names.
"""

from __future__ import annotations

import base64
import http.client
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import bcrypt

ROUNDS = 200
COST = 8
"""Lower than in practice: with less time spent in bcrypt, differences in the rest are easier to see."""

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Prints the figures."""
    with _exporter() as (host, port):
        connection = http.client.HTTPConnection(host, port)
        known: list[float] = []
        unknown: list[float] = []
        _refused_seconds(connection, "warm", "up")
        for number in range(ROUNDS):
            turns = [(known, "alice"), (unknown, f"stranger{number}")]
            random.shuffle(turns)
            for seconds, user in turns:
                seconds.append(_refused_seconds(connection, user, f"wrong{number}"))
        _answer(connection, "alice", "right")
        cached = [_answer(connection, "alice", "right")[1] for _ in range(ROUNDS)]
    for name, seconds in (("wrong password", known), ("unknown user", unknown), ("right password, cached", cached)):
        low, median, high = statistics.quantiles(seconds, n=4)
        print(f"{name:24} median {median * 1000:8.3f} ms   quartiles {low * 1000:.3f} to {high * 1000:.3f} ms")
    print(f"Mann-Whitney z of the first two: {_mann_whitney_z(known, unknown):+.2f}")


@contextmanager
def _exporter() -> Iterator[tuple[str, int]]:
    hashed = bcrypt.hashpw(b"right", bcrypt.gensalt(COST)).decode()
    with tempfile.TemporaryDirectory() as directory:
        web = Path(directory) / "web.yml"
        web.write_text(f"basic_auth_users: {{alice: {hashed}}}\n")
        command = [sys.executable, str(ROOT / "exporter.py"), "--demo", f"--web.config.file={web}"]
        command += ["--web.listen-address=127.0.0.1:0", "--log.format=logfmt"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr
        try:
            url = next(line for line in process.stderr if "msg=listening" in line).split("url=http://")[1]
            host, port = url.strip().rstrip("/").split(":")
            yield host, int(port)
        finally:
            process.kill()
            process.wait()
            process.stderr.close()


def _refused_seconds(connection: http.client.HTTPConnection, user: str, password: str) -> float:
    status, seconds = _answer(connection, user, password)
    assert status == 401, status
    return seconds


def _answer(connection: http.client.HTTPConnection, user: str, password: str) -> tuple[int, float]:
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    start = time.perf_counter()
    connection.request("GET", "/metrics", headers={"Authorization": f"Basic {credentials}"})
    response = connection.getresponse()
    response.read()
    return response.status, time.perf_counter() - start


def _mann_whitney_z(first: Sequence[float], second: Sequence[float]) -> float:
    """Standardised; ties, which clocks of this resolution hardly give, are left out of account."""
    ranks = {value: rank for rank, value in enumerate(sorted([*first, *second]), start=1)}
    n, m = len(first), len(second)
    u = sum(ranks[value] for value in first) - n * (n + 1) / 2
    return (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)


if __name__ == "__main__":
    main()
