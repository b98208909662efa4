"""The client: how a GET is signed, when it is repeated, and which answers it accepts. No sockets."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest

from bybit_exporter.bybit.client import Answer, Client
from bybit_exporter.bybit.errors import NETWORK, PAUSE_ALL_SECONDS, TIMEOUT, BybitError
from bybit_exporter.bybit.rate_limiter import RateLimiter
from bybit_exporter.bybit.server_clock import ServerClock
from bybit_exporter.bybit.transport import Response, Transport
from bybit_exporter.bybit.wallets.spot import SpotAsset
from bybit_exporter.model import RateLimit
from tests.builders import make_account
from tests.exporter_process import ROOT
from tests.in_process import JumpingClock
from tests.support import FakeClock, bybit_headers

PATH = "/v5/asset/transfer/query-asset-info"
ACCOUNT = make_account()
RESULT = {"spot": {"status": "ACCOUNT_STATUS_NORMAL", "assets": []}}


class Spot(msgspec.Struct):
    status: str
    assets: list[SpotAsset]


class SpotResult(msgspec.Struct):
    spot: Spot


Reply = Response | BybitError


def reply(
    code: int = 0,
    message: str = "OK",
    result: object = RESULT,
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> Response:
    body = {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, **more}
    return Response(200, headers or {}, json.dumps(body).encode(), time.clock_gettime(time.CLOCK_BOOTTIME))


def status(number: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Response:
    return Response(number, headers or {}, body, time.clock_gettime(time.CLOCK_BOOTTIME))


class Script(Transport):
    """Returns the replies in order, then repeats the last, and records the requests."""

    def __init__(self, *replies: Reply | Callable[[], Reply]) -> None:
        self._replies = list(replies)
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []

    def get(self, path: str, query: str, headers: Mapping[str, str]) -> Response:
        self.asked.append((path, query, headers))
        following = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        played = following() if callable(following) else following
        if isinstance(played, BybitError):
            raise played
        return played

    @property
    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]


class Bench:
    """A client of a `Script`, with its own wall clock."""

    def __init__(self, *replies: Reply | Callable[[], Reply]) -> None:
        self.wall = FakeClock(time.time())
        self.script = Script(*replies)
        self.rate_limiter = RateLimiter(1000.0)
        self.durations: list[tuple[str, float]] = []
        self.client = Client(
            self.script,
            ServerClock(5.0, self.wall),
            self.rate_limiter,
            recv_window_seconds=5.0,
            observe_request=lambda path, seconds: self.durations.append((path, seconds)),
        )

    def ask(self) -> Answer[SpotResult]:
        return self.client.get(PATH, {"accountType": "SPOT", "coin": "ETH"}, SpotResult, ACCOUNT)

    def fails(self) -> BybitError:
        with pytest.raises(BybitError) as failed:
            self.ask()
        return failed.value


def server_time(seconds: float) -> Response:
    return reply(result={"timeSecond": str(int(seconds)), "timeNano": str(round(seconds * 1e9))})


def test_private_request_is_signed_as_documented() -> None:
    bench = Bench(reply())
    bench.ask()
    ((path, query, headers),) = bench.script.asked
    assert (path, query) == (PATH, "accountType=SPOT&coin=ETH")
    stamp = int(headers["X-BAPI-TIMESTAMP"]) / 1000
    assert abs(stamp - bench.wall.now) < 0.002
    assert bybit_headers("CANARYKEY", "CANARYSECRET", query, stamp).items() <= headers.items()


def test_public_request_has_no_key() -> None:
    bench = Bench(reply())
    bench.client.get(PATH, {}, SpotResult)
    assert not [name for name in bench.script.asked[0][2] if name.startswith("X-BAPI")]


@pytest.mark.parametrize(
    "first",
    [
        BybitError(NETWORK, ""),
        status(500),
        status(503),
        *map(reply, (10000, 10016, 429, 10429, 131001, 131003, 131200, 131201, 131230)),
    ],
)
def test_temporary_failure_is_repeated_once_with_a_new_signature(first: Reply) -> None:
    bench = Bench(first, reply())

    def later() -> Reply:
        bench.wall.now += 2.0
        return first

    bench.script._replies[0] = later
    assert bench.ask().result.spot.status == "ACCOUNT_STATUS_NORMAL"
    once, again = (headers for _, _, headers in bench.script.asked)
    assert int(again["X-BAPI-TIMESTAMP"]) - int(once["X-BAPI-TIMESTAMP"]) == pytest.approx(2000, abs=1)
    assert once["X-BAPI-SIGN"] != again["X-BAPI-SIGN"]
    assert (
        bybit_headers(
            "CANARYKEY", "CANARYSECRET", "accountType=SPOT&coin=ETH", int(again["X-BAPI-TIMESTAMP"]) / 1000
        ).items()
        <= again.items()
    )


@pytest.mark.parametrize("every", [BybitError(NETWORK, ""), status(500), reply(10016), reply(131230)])
def test_temporary_failure_is_repeated_only_once(every: Reply) -> None:
    bench = Bench(every)
    bench.fails()
    assert len(bench.script.asked) == 2


@pytest.mark.parametrize(
    "code", [10001, 10003, 10004, 10005, 10006, 10007, 10008, 10009, 10010, 10018, 10027, 33004, 5]
)
def test_refusal_is_not_repeated(code: int) -> None:
    bench = Bench(reply(code, "why"))
    assert str(bench.fails()) == f'retCode {code}: "why"'
    assert len(bench.script.asked) == 1


@pytest.mark.parametrize("code", [10002, -1])
@pytest.mark.parametrize("offset", [-30.0, -1.0, 30.0, 1e6])
def test_refused_timestamp_is_corrected_and_the_request_repeated(code: int, offset: float) -> None:
    bench = Bench(reply(code))
    bench.script._replies += [lambda: server_time(bench.wall.now + offset), reply()]
    bench.ask()
    assert bench.script.paths == [PATH, "/v5/market/time", PATH]
    stamp = int(bench.script.asked[2][2]["X-BAPI-TIMESTAMP"]) / 1000
    assert stamp == pytest.approx(bench.wall.now + offset, abs=0.1)
    assert bench.client.clock.offset_seconds == pytest.approx(offset, abs=0.1)


def test_timestamp_refused_twice_is_a_clock_failure() -> None:
    bench = Bench(reply(10002), server_time(time.time()), reply(10002))
    assert bench.fails().reason == "clock"
    assert bench.script.paths == [PATH, "/v5/market/time", PATH]


@pytest.mark.parametrize(
    "broken", [BybitError(NETWORK, "gone"), status(500), reply(10016), reply(result={"timeNano": "x"})]
)
def test_refused_timestamp_without_server_time_is_a_clock_failure(broken: Reply) -> None:
    bench = Bench(reply(10002), broken)
    failed = bench.fails()
    assert failed.reason == "clock"
    assert "its own clock cannot be read" in str(failed)
    assert bench.script.paths == [PATH, "/v5/market/time"]
    assert bench.client.clock.offset_seconds is None


def test_network_failure_after_a_refused_timestamp_is_reported_alone() -> None:
    """The first failure is not the cause of the second."""
    bench = Bench(reply(10002), server_time(time.time()), BybitError(NETWORK, "gone"))
    failed = bench.fails()
    assert failed.reason == "network"
    assert failed.__context__ is None


@pytest.mark.parametrize(
    "refusal", [status(403, b"access too frequent"), status(429), reply(10018), status(403, b'{"retCode":10018}')]
)
def test_blocked_address_blocks_the_rate_limiter(refusal: Reply) -> None:
    bench = Bench(refusal)
    assert bench.fails().reason == "ip_rate_limit"
    assert bench.fails().reason == "ip_rate_limit"
    assert len(bench.script.asked) == 1
    left = bench.rate_limiter.blocked_until - time.clock_gettime(time.CLOCK_BOOTTIME)
    assert left == pytest.approx(PAUSE_ALL_SECONDS, abs=5)


def test_retry_is_refused_if_the_rate_limiter_is_blocked_meanwhile() -> None:
    bench = Bench(reply())

    def closing() -> Reply:
        bench.rate_limiter.block(600.0)
        return reply(10016)

    bench.script._replies = [closing]
    assert bench.fails().reason == "ip_rate_limit"
    assert len(bench.script.asked) == 1


def test_blocked_address_at_the_server_time_request_blocks_the_rate_limiter() -> None:
    bench = Bench(reply(10002), status(403, b"access too frequent"))
    assert bench.fails().reason == "ip_rate_limit"
    assert bench.rate_limiter.blocked_until > 0


def date(seconds_ahead: float) -> str:
    return format_datetime(datetime.fromtimestamp(time.time() + seconds_ahead, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("1800", 1800.0),
        ("60", 600.0),
        ("0", 600.0),
        ("-5", 600.0),
        ("1e9", 600.0),
        ("9" * 30, 600.0),
        ("999999999", 86_400.0),
        ("soon", 600.0),
        ("", 600.0),
        ("Wed, 21 Oct 9999 23:59:59 -1200", 86_400.0),
        ("Sun, 06 Nov 99999 08:49:37 GMT", 600.0),
        ("Sun, 99 Foo 1994 99:99:99 GMT", 600.0),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999999999", 600.0),
    ],
)
def test_retry_after_is_respected_if_longer_and_valid(retry_after: str, seconds: float) -> None:
    assert pause_after(retry_after) == pytest.approx(seconds, abs=5)


@pytest.mark.parametrize(("ahead", "seconds"), [(1800.0, 1800.0), (-1800.0, 600.0), (60.0, 600.0)])
def test_retry_after_as_a_date_is_respected(ahead: float, seconds: float) -> None:
    assert pause_after(date(ahead)) == pytest.approx(seconds, abs=5)


def pause_after(retry_after: str) -> float:
    bench = Bench(status(429, headers={"Retry-After": retry_after}))
    bench.fails()
    return bench.rate_limiter.blocked_until - time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1700000000123", 1700000000123),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("9" * 19, None),
        ("1.5", None),
        ("\u0661", None),
    ],
)
def test_reset_timestamp_that_is_not_a_number_is_ignored(text: str, expected: int | None) -> None:
    bench = Bench(reply(10006, headers={"X-Bapi-Limit-Reset-Timestamp": text}))
    assert bench.fails().reset_at_ms == expected


def test_reset_timestamp_that_is_absent_is_none() -> None:
    assert Bench(reply(10006)).fails().reset_at_ms is None


LIMITS = {"X-Bapi-Limit": "60", "X-Bapi-Limit-Status": "7"}


@pytest.mark.parametrize("code", [0, 10006, 10003])
def test_rate_limit_of_any_answer_is_reported(code: int) -> None:
    bench = Bench(reply(code, headers=LIMITS))
    seen = bench.ask().rate_limits if code == 0 else bench.fails().rate_limits
    assert seen == {PATH: RateLimit(60, 7)}


@pytest.mark.parametrize("headers", [{}, {"X-Bapi-Limit": "60"}, {"X-Bapi-Limit": "x", "X-Bapi-Limit-Status": "-7"}])
def test_rate_limit_without_both_headers_is_not_reported(headers: dict[str, str]) -> None:
    assert Bench(reply(headers=headers)).ask().rate_limits == {}


@pytest.mark.parametrize("offset", [-0.9, 0.5, 4.0])
def test_time_of_every_answer_updates_the_server_clock(offset: float) -> None:
    bench = Bench(reply())
    bench.script._replies = [lambda: reply(time=int((bench.client.clock._wall() + offset) * 1000))]
    bench.ask()
    assert bench.client.clock.offset_seconds == pytest.approx(offset, abs=0.2)


@pytest.mark.parametrize("absurd", [0, -1, 10**11, 10**15, 10**18, 2**63, 10**30, 10**400, -(10**400), None])
def test_absurd_time_of_an_answer_is_ignored(absurd: int | None) -> None:
    bench = Bench(reply(time=absurd))
    assert bench.ask().result.spot.assets == []
    assert bench.client.clock.now() == bench.wall.now


def body(text: str | bytes) -> Response:
    return status(200, text.encode() if isinstance(text, str) else text)


def with_result(text: str) -> Response:
    return body('{"retCode":0,"retMsg":"OK","result":' + text + "}")


ASSET = '{"coin":"BTC","free":"1","frozen":"0","withdraw":""}'


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (body(""), "not JSON ("),
        (body("<html>"), "not JSON ("),
        (body(b"\xff\xfe"), "not JSON ("),
        (body(b'{"retCode":0,"retMsg":"\xff"}'), "not JSON ("),
        (body('{"retCode":0} trailing'), "not JSON ("),
        (body('{"retCode":NaN}'), "not JSON ("),
        (body("[]"), "the answer: "),
        (body("null"), "the answer: "),
        (body("{}"), "retCode: missing"),
        (body('{"retCode":"0"}'), "retCode: "),
        (body('{"retCode":null}'), "retCode: "),
        (body('{"retCode":true}'), "retCode: "),
        (body('{"retCode":0,"retMsg":5}'), "retMsg: "),
        (body('{"retCode":0,"time":"now"}'), "time: "),
        (body('{"retCode":0}'), "result: "),
        (with_result("null"), "result: "),
        (with_result("{}"), "result.spot: missing"),
        (with_result('{"spot":{"assets":[]}}'), "result.spot.status: missing"),
        (with_result('{"spot":{"status":null,"assets":[]}}'), "result.spot.status: "),
        (with_result('{"spot":{"status":"x"}}'), "result.spot.assets: missing"),
        (with_result('{"spot":{"status":"x","assets":{}}}'), "result.spot.assets: "),
        (with_result('{"spot":{"status":"x","assets":[null]}}'), "result.spot.assets[0]: "),
        (
            with_result('{"spot":{"status":"x","assets":[' + ASSET + ',{"coin":"E"}]}}'),
            "result.spot.assets[1].free: missing",
        ),
        (
            with_result('{"spot":{"status":"x","assets":[' + ASSET + "," + ASSET.replace('"1"', "1") + "]}}"),
            "result.spot.assets[1].free: Expected `str`, got `int`",
        ),
        (
            with_result('{"spot":{"status":"x","assets":[' + ASSET.replace("BTC", "") + "]}}"),
            "result.spot.assets[0].coin: ",
        ),
        (with_result('{"spot":{"assets":[{"free":1}]},"spot":5}'), "result.spot.assets[0].free: "),
        (with_result("[" * 200_000 + "]" * 200_000), "the answer is nested too deeply"),
        (body("[" * 200_000 + "]" * 200_000), "the answer: "),
        (body('{"retCode":0,"x":' + "[" * 200_000 + "]" * 200_000 + "}"), "the answer is nested too deeply"),
    ],
)
def test_malformed_answer_is_refused_with_the_path_of_the_field(answer: Response, message: str) -> None:
    bench = Bench(answer)
    failed = bench.fails()
    assert failed.reason == "malformed"
    assert str(failed).startswith(message)
    assert len(str(failed)) < 250
    assert len(bench.script.asked) == 1


FIGURE = "98765.4321"
OF_A_SUCCESS = '{"retCode":0,"result":{"spot":{"status":"x","assets":' + ASSET.replace('"1"', f'"{FIGURE}"')


@pytest.mark.parametrize(
    "answer",
    [
        *(with_result('{"spot":{"status":' + wrong + ',"assets":[]}}') for wrong in (FIGURE, f'["{FIGURE}"]')),
        with_result('{"spot":{"status":"x","assets":[' + ASSET.replace('"1"', FIGURE) + "]}}"),
        body(OF_A_SUCCESS + "}}}"),  # an object instead of a list
        body(OF_A_SUCCESS),
        body("\ufeff" + OF_A_SUCCESS),
        body(f"<pre>{OF_A_SUCCESS}</pre>"),
        body(OF_A_SUCCESS.partition("assets")[2]),
        body(OF_A_SUCCESS.encode("utf-16")),
        body(FIGURE),
        *(status(number, (OF_A_SUCCESS + "}}}").encode()) for number in (203, 302, 401, 403, 404, 429, 500)),
        *(status(number, OF_A_SUCCESS.encode()) for number in (203, 302, 401, 403, 404, 429, 500)),
    ],
)
def test_figure_of_an_answer_is_in_no_error(answer: Response) -> None:
    error = Bench(answer).fails()
    assert FIGURE not in f"{error} {error!r} {error.detail} {error.received_text} {error.code}"
    assert "\x00".join(FIGURE) not in str(error.received_text)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            body("<html lang='en'>\n<h1>Maintenance"),
            """not JSON (JSON is malformed: invalid character (byte 0)): \
"<html lang='en'>\N{REPLACEMENT CHARACTER}<h1>Maintenance\"""",
        ),
        (status(403, b"error code: 1020"), 'HTTP 403: "error code: 1020"'),
        (status(403, b'{"retCode":10010,"retMsg":"Unmatched IP"}'), 'HTTP 403, retCode 10010: "Unmatched IP"'),
        (status(502, b'{"message":"no backend"}'), "HTTP 502"),
        (status(502), "HTTP 502"),
    ],
)
def test_error_page_and_refusal_are_quoted(answer: Response, message: str) -> None:
    assert str(Bench(answer).fails()) == message


@pytest.mark.parametrize(
    "answer",
    [
        reply(10004, "error sign! origin_string[1658384314791CANARYKEY5000accountType=SPOT]"),
        reply(10004, "x" * 95 + "CANARYKEY"),
        status(401, b"apiKey[CANARYKEY]"),
        body("CANARYKEY"),
        with_result('{"spot":"CANARYKEY"}'),
        BybitError(NETWORK, "BadStatusLine", received_text="you said CANARYKEY"),
    ],
)
def test_key_repeated_by_an_answer_is_in_the_text_that_can_be_redacted(answer: Reply) -> None:
    error = Bench(answer).fails()
    error.redact("CANARYKEY")
    assert "CANAR" not in str(error)
    assert "CANAR" not in repr(error)


@pytest.mark.parametrize(
    ("message", "reason"), [("accountType only support UNIFIED.", "account_mode"), ("coin is invalid", "request")]
)
def test_parameter_error_is_told_apart_by_its_message(message: str, reason: str) -> None:
    failed = Bench(reply(10001, message)).fails()
    assert (failed.reason, str(failed)) == (reason, f'retCode 10001: "{message}"')


def test_ret_msg_of_a_success_is_ignored() -> None:
    for message in ("OK", "success", "SUCCESS", "", None, "error"):
        body: Any = json.dumps({"retCode": 0, "retMsg": message, "result": RESULT}).encode()
        assert Bench(status(200, body)).ask().result.spot.assets == []


def test_duration_of_each_request_is_observed_by_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock(monkeypatch)

    def answering(seconds: float, answer: Reply) -> Callable[[], Reply]:
        def play() -> Reply:
            clock.jump(seconds)
            return answer

        return play

    bench = Bench(
        answering(1.0, reply(10002)),
        answering(2.0, server_time(time.time())),
        answering(30.0, BybitError(TIMEOUT, "no complete answer")),
    )
    bench.fails()
    assert [path for path, _ in bench.durations] == [PATH, "/v5/market/time", PATH]
    assert [seconds for _, seconds in bench.durations] == pytest.approx([1.0, 2.0, 30.0], abs=0.5)


def test_duration_of_request_that_the_rate_limiter_refuses_is_not_observed() -> None:
    bench = Bench(reply())
    bench.rate_limiter.block(600.0)
    bench.fails()
    assert bench.durations == []


FIRST_ANSWERS = """
import sys, threading
import msgspec
from bybit_exporter.bybit.client import Client
from tests.unit.bybit.test_client import Bench, reply

THREADS = 8
bench = Bench(reply(result={"inner": {f"f{number}": "" for number in range(8)}}))
bench.rate_limiter.requests_per_second = 1e9
sys.setswitchinterval(1e-6)
for _ in range(100):
    inner = msgspec.defstruct("Inner", [(f"f{number}", "str") for number in range(8)])
    outer = msgspec.defstruct("Outer", [("inner", inner), ("more", "list[str]", msgspec.field(default_factory=list))])
    together, answers = threading.Barrier(THREADS), []

    def ask():
        together.wait()
        answers.append(bench.client.get("/path", {}, outer))

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(answers) == THREADS
"""


def test_first_answers_of_a_kind_may_be_decoded_by_several_threads() -> None:
    """In its own process, since a failure crashes the interpreter."""
    ended = subprocess.run([sys.executable, "-c", FIRST_ANSWERS], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
