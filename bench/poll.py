"""Compares the CPU time for a poll with that of a script for the same poll: `python -m bench poll`.

Both poll 1,000 accounts of 20 coins, 50 a second, at the same time and from the same exchange. The exporter's figure
is the CPU time of its process divided by its polls, without scrapes: it includes scheduling, decoding and rendering.
The script is `bench/script.py`: `requests.get`, a signature and `json.loads`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

from .exchange import COINS, credentials, running_exchange
from .programs import Running, exporter
from .scale import POLLS_A_SECOND, SLACK_SECONDS, poll_seconds

ACCOUNTS = 1000
STRETCHES, STRETCH_SECONDS = 3, 20
MAX_RATIO = 1.0


def _script_and_exporter_seconds(
    url: str, running: Running, connection: HTTPConnection
) -> Iterator[tuple[float, float]]:
    for _ in range(STRETCHES):
        command = [sys.executable, "-m", "bench.script", url, str(ACCOUNTS), str(STRETCH_SECONDS * POLLS_A_SECOND)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as script:
            time.sleep(SLACK_SECONDS)  # until the script has loaded its libraries
            ours = poll_seconds(running, connection, STRETCH_SECONDS - SLACK_SECONDS)
            theirs, _ = script.communicate()
        yield float(theirs), ours


def main() -> None:
    """Takes about a minute and a half."""
    program = exporter(ACCOUNTS / POLLS_A_SECOND, [credentials(index) for index in range(ACCOUNTS)], COINS)
    with (
        tempfile.TemporaryDirectory() as directory,
        running_exchange(ACCOUNTS) as url,
        Running(program, url, Path(directory)) as running,
        closing(running.connection()) as connection,
    ):
        running.seconds_to_ready()
        pairs = list(_script_and_exporter_seconds(url, running, connection))
    ratio = statistics.median(ours / theirs for theirs, ours in pairs)
    for theirs, ours in pairs:
        print(f"a script's poll {theirs * 1e3:.2f} ms, the exporter's {ours * 1e3:.2f} ms: {ours / theirs:.2f}")
    print(f"median ratio {ratio:.2f}, at most {MAX_RATIO:g}: {'met' if ratio <= MAX_RATIO else 'MISSED'}")
