"""The exchange's clock and ours differ, drift, and are told wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bybit_exporter.sandbox import SERVER_TIME, UNLIMITED, Exchange, SandboxServer, faults
from bybit_exporter.sandbox.messages import Fault, Response, Wire
from tests.exporter_process import ExporterProcess, config_for
from tests.in_process import HOLDINGS, JumpingClock, Running
from tests.support import eventually, polls_of

OFFSET = "bybit_api_clock_offset_seconds"


def times_asked(exchange: Exchange) -> int:
    return sum(1 for recorded in exchange.requests if recorded.request.path == SERVER_TIME)


@pytest.mark.parametrize("skew", [-30.0, 30.0])
def test_thirty_seconds_are_corrected_within_the_first_poll(skew: float, tmp_path: Path) -> None:
    exchange = Exchange(limits=UNLIMITED)
    exchange.add_account("main", HOLDINGS)
    exchange.clock_skew = skew
    with (
        SandboxServer(exchange) as server,
        ExporterProcess(config_for(exchange, server.base_url), tmp_path) as exporter,
    ):
        exporter.wait_for(1.0, "bybit_up")
        assert exporter.value("bybit_poll_failures_total", reason="clock") == 0
        assert exporter.value(OFFSET) == pytest.approx(skew, abs=0.5)
        polls = exporter.value("bybit_polls_total") or 0
        eventually(lambda: (exporter.value("bybit_polls_total") or 0) >= polls + 3)
        assert times_asked(exchange) == 1, "the correction is kept"


def test_a_clock_that_is_set_while_we_run() -> None:
    with Running("one", "two", "three") as running:
        for skew in (30.0, -3600.0, 0.0):
            running.exchange.clock_skew = skew
            eventually(lambda skew=skew: abs((running.value(OFFSET) or 0.0) - skew) < 0.5)  # type: ignore[misc]
        for name in running.exchange.accounts:
            running.wait_for(1.0, "bybit_up", account=name)
            assert sum(running.failures(reason, name) for reason in ("clock", "internal", "auth")) == 0


def test_the_offset_is_withdrawn_when_no_answer_has_come_for_stale_after(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock(monkeypatch)
    with Running(stale_after_seconds=60.0) as running:
        running.wait_for(1.0, "bybit_up")
        running.exchange.fault = faults.Reset()
        running.wait_for(0.0, "bybit_up")
        clock.jump(50.0)
        assert running.value(OFFSET) is not None
        clock.jump(10.0)
        assert running.value(OFFSET) is None
        failures = running.failures("network")
        eventually(lambda: running.failures("network") >= failures + 2)
        assert running.value(OFFSET) is None
        running.exchange.fault = None
        eventually(lambda: running.value(OFFSET) is not None)


def test_a_slow_drift_is_followed_without_further_requests() -> None:
    with Running(poll_interval_seconds=0.05) as running:
        running.wait_for(1.0, "bybit_up")
        for step in range(1, 31):
            running.exchange.clock_skew = 0.2 * step
            eventually(lambda step=step: abs((running.value(OFFSET) or 0.0) - 0.2 * step) < 0.15)  # type: ignore[misc]
        assert times_asked(running.exchange) == 0
        assert running.failures("clock") == 0


ABSURD = [0, -1, 1, 10**11, 10**15, 10**18, 2**64, 10**400]


@pytest.mark.parametrize("absurd", ABSURD, ids=lambda number: f"{str(number)[:5]}-{len(str(number))}")
def test_an_absurd_time_in_an_answer_does_no_harm(absurd: int) -> None:
    with Running(poll_interval_seconds=0.05) as running:
        running.wait_for(1.0, "bybit_up")
        running.main.fault = faults.Mutate(lambda envelope: envelope.update(time=absurd))
        polls = running.value("bybit_polls_total") or 0
        eventually(lambda: (running.value("bybit_polls_total") or 0) >= polls + 5)
        assert running.value("bybit_up") == 1
        assert times_asked(running.exchange) == 0  # no signature was refused
        assert all(running.failures(reason) == 0 for reason in ("clock", "internal", "malformed"))


class OnTimeOnly:
    """A fault that the question for the time alone suffers."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def play(self, wire: Wire, response: Response) -> None:
        if b"timeNano" in response.body:
            self._fault.play(wire, response)
        else:
            wire.respond(response)


@pytest.mark.parametrize(
    "fault",
    [faults.Status(500), faults.Reset(), faults.RetCode(10016), faults.Body(b"nonsense"), faults.Cut()],
    ids=["500", "reset", "10016", "nonsense", "cut"],
)
def test_a_time_that_cannot_be_read_leaves_the_clock_at_fault(fault: Fault) -> None:
    with Running() as running:
        running.wait_for(1.0, "bybit_up")
        running.exchange.fault = OnTimeOnly(fault)
        running.exchange.clock_skew = 30.0
        running.wait_for(0.0, "bybit_up")
        eventually(lambda: running.failures("clock") >= 2)
        assert all(running.failures(reason) == 0 for reason in ("server", "network", "malformed", "internal"))
        running.exchange.fault = None
        running.wait_for(1.0, "bybit_up")
        assert running.value(OFFSET) == pytest.approx(30.0, abs=0.5)


def test_an_absurd_time_for_an_answer_to_the_question_is_recovered_from() -> None:
    def absurd(envelope: dict[str, dict[str, str]]) -> None:
        envelope["result"]["timeNano"] = "9" * 20

    with Running() as running:
        running.wait_for(1.0, "bybit_up")
        running.exchange.fault = OnTimeOnly(faults.Times(2, faults.Mutate(absurd)))
        running.exchange.clock_skew = 30.0
        running.wait_for(0.0, "bybit_up")
        running.wait_for(1.0, "bybit_up")
        assert running.value(OFFSET) == pytest.approx(30.0, abs=0.5)


@pytest.mark.parametrize("code", [10002, -1])
def test_an_exchange_that_refuses_every_timestamp_is_asked_three_times_a_poll(code: int) -> None:
    with Running() as running:
        running.wait_for(1.0, "bybit_up")
        running.main.fault = faults.RetCode(code)
        eventually(lambda: running.failures("clock") >= 5)
    polls, failed = running.value("bybit_polls_total") or 0, running.failures("clock")
    assert abs(times_asked(running.exchange) - failed) <= 1
    assert abs(len(polls_of(running.main)) - (polls + failed)) <= 2


def test_our_own_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Balances neither vanish nor last longer when the system's time changes; requests are signed right again."""
    wall = {"ahead": 0.0}
    monkeypatch.setattr("bybit_exporter.clock.wall", lambda: time.time() + wall["ahead"])
    running = Running(stale_after_seconds=2.0)
    running.service._client.clock._wall = lambda: time.time() + wall["ahead"]
    with running:
        running.wait_for(1.0, "bybit_up")
        for ahead in (-86_400.0, 86_400.0, 0.0):
            wall["ahead"] = ahead
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                assert running.value("bybit_asset_free", coin="BTC") == 1.5
                assert running.value("bybit_up") == 1
            assert running.value(OFFSET) == pytest.approx(-ahead, abs=1.0)
