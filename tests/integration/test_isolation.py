"""One account hangs, one is refused: the other nineteen keep their rhythm of one second."""

from __future__ import annotations

import itertools
import statistics
import time
from pathlib import Path

from bybit_exporter.sandbox import UNLIMITED, Exchange, SandboxServer, faults
from tests.exporter_process import ExporterProcess, config_for
from tests.in_process import HOLDINGS
from tests.support import eventually, polls_of

OTHERS = [f"other {number}" for number in range(19)]


def test_the_others_keep_their_rhythm(tmp_path: Path) -> None:
    exchange = Exchange(limits=UNLIMITED)
    for name in ("hangs", "is refused", *OTHERS):
        exchange.add_account(name, HOLDINGS)
    exchange.accounts["hangs"].fault = faults.Hang()
    exchange.accounts["is refused"].fault = faults.RetCode(10003)
    with (
        SandboxServer(exchange) as server,
        ExporterProcess(config_for(exchange, server.base_url), tmp_path) as exporter,
    ):
        eventually(lambda: all(len(polls_of(exchange.accounts[name])) >= 2 for name in OTHERS), 20.0)
        began = time.time()
        eventually(lambda: all(len(polls_of(exchange.accounts[name])) >= 9 for name in OTHERS), 20.0)
        scraped = exporter.samples()
        ended = time.time()
    for name in OTHERS:
        asked = [recorded.at for recorded in polls_of(exchange.accounts[name]) if began <= recorded.at <= ended]
        gaps = [later - earlier for earlier, later in itertools.pairwise(asked)]
        assert 0.95 < statistics.mean(gaps) < 1.05
        assert all(0.5 < gap < 1.5 for gap in gaps)
    up = {dict(labels)["account"]: value for (series, labels), value in scraped.items() if series == "bybit_up"}
    assert [up[name] for name in OTHERS] == [1.0] * 19
    assert up["is refused"] == 0
    assert len(polls_of(exchange.accounts["is refused"])) == 1
    assert len(polls_of(exchange.accounts["hangs"])) <= 3
