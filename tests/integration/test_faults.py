"""Every row of the table of faults, and every cause named in it, on real sockets.

One exporter process polls an account for each cause. All are well at first, then all go wrong, each in its own way,
then all are well again with other figures; a reload ends the long waits. What was scraped meanwhile is what the tests
look at.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import requests

from bybit_exporter.model import FailureReason
from bybit_exporter.sandbox import (
    ASSET_INFO,
    COINS_BALANCE,
    UNLIMITED,
    WALLET_BALANCE,
    Account,
    Exchange,
    FundingHolding,
    Holding,
    SandboxServer,
    UnifiedHolding,
    faults,
)
from bybit_exporter.sandbox.messages import Fault, Response, Wire
from tests.exporter_process import ExporterProcess, config_for
from tests.support import eventually

INTERVAL = 1.0
STALE_AFTER = 4.0
TIMEOUT = 1.0
RARELY = 300.0

OLD, NEW = "1.25", "7.5"
SLACK = 2.0
"""For a busy machine."""
ON_ITS_WAY = 1.0
"""So long may an answer have taken: figures age from the question, and the success is when the answer came."""


@dataclass(frozen=True)
class ResetIn:
    """10006, to be asked again in so many seconds."""

    seconds: float

    def play(self, wire: Wire, response: Response) -> None:
        faults.TooManyVisits(str(response.time_ms + round(self.seconds * 1000))).play(wire, response)


def asset(**fields: Any) -> faults.Mutate:
    """The second asset has fields that are not what they should be; None takes one away."""

    return faults.Mutate(lambda parts: spoil(parts["result"]["spot"]["assets"][1], fields))


def unified(**fields: str | None) -> faults.Mutate:
    """The same for the second coin of a unified wallet."""
    return faults.Mutate(lambda parts: spoil(parts["result"]["list"][0]["coin"][1], fields))


def fund(**fields: str | None) -> faults.Mutate:
    """The same for the second coin of a funding wallet."""
    return faults.Mutate(lambda parts: spoil(parts["result"]["balance"][1], fields))


def spoil(row: dict[str, Any], fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        row[name] = value
        if value is None:
            del row[name]


def envelope(**fields: Any) -> faults.Mutate:
    return faults.Mutate(lambda parts: parts.update(fields))


@functools.cache
def elsewhere() -> SandboxServer:
    """Where a redirect leads: nobody may ever come here."""
    return SandboxServer(Exchange()).start()


@dataclass(frozen=True)
class Cause:
    fault: Fault
    reason: str
    says: str = ""
    """Words of the log."""
    wallet: str = "SPOT"


def causes() -> dict[str, Cause]:
    html = {"Content-Type": "text/html"}
    blocked = faults.Status(403, b"<html>configured to block access from your country", html)
    found = {
        "reset": Cause(faults.Reset(), "network", "Connection reset"),
        "cut off": Cause(faults.Cut(), "network", "IncompleteRead"),
        "hangs": Cause(faults.Hang(), "timeout", "no complete answer within 1 s"),
        "late": Cause(faults.Delay(30.0), "timeout"),
        "drips its body": Cause(faults.Drip(), "timeout"),
        "drips its head": Cause(faults.Drip(head=True), "timeout"),
        "HTTP 500": Cause(faults.Status(500, b"oops"), "server", "HTTP 500"),
        "HTTP 502": Cause(faults.Status(502), "server", "HTTP 502"),
        "HTTP 503": Cause(faults.Status(503), "server", "HTTP 503"),
        "limit without a reset": Cause(faults.TooManyVisits(None), "rate_limit", "Too many visits"),
        "limit reset in the past": Cause(faults.TooManyVisits("1000"), "rate_limit"),
        "limit reset in the far future": Cause(faults.TooManyVisits("99999999999999999"), "rate_limit"),
        "limit reset that is garbage": Cause(faults.TooManyVisits("-soon\x7f"), "rate_limit"),
        "limit reset in 3 s": Cause(ResetIn(3.0), "rate_limit"),
        "HTTP 401": Cause(faults.Status(401), "auth", "check that it still exists"),
        "HTTP 404": Cause(faults.Status(404), "account_mode", "check account_type, api.base_url"),
        "HTTP 403": Cause(blocked, "region", "api.base_url"),
        "HTTP 403 with a code": Cause(
            faults.Status(403, b'{"retCode":10010}'), "auth", "not among the key's IP addresses"
        ),
        "HTTP 400": Cause(faults.Status(400), "request"),
        "HTTP 204": Cause(faults.Status(204), "malformed", "HTTP 204"),
        "redirect": Cause(faults.redirect(elsewhere().base_url), "malformed", "HTTP 302"),
        "any other code": Cause(faults.RetCode(170131, "Balance insufficient."), "api", "Balance insufficient."),
        "not JSON": Cause(faults.Body(b"<html>maintenance</html>"), "malformed", "<html>maintenance</html>"),
        "nothing": Cause(faults.Body(b""), "malformed", "not JSON"),
        "half of it": Cause(faults.Body(b'{"retCode":0,"result":{"spot":{"sta'), "malformed", "not JSON"),
        "another document": Cause(faults.Body(b'["OK"]'), "malformed", "the answer: "),
        "200,000 nested brackets": Cause(faults.nested(), "malformed"),
        "a flood of 400 MB": Cause(faults.Flood(400), "malformed", "larger than 1048576 bytes"),
        "a flood of unknown length": Cause(faults.Flood(400, content_length=False), "malformed", "larger than"),
        "a compressed bomb": Cause(faults.Bomb(512), "malformed", "larger than 1048576 bytes"),
        "retCode is missing": Cause(faults.Mutate(lambda e: e.pop("retCode")), "malformed", "retCode: missing"),
        "retCode is a text": Cause(envelope(retCode="0"), "malformed", "retCode: "),
        "no result": Cause(envelope(result=None), "malformed", "result: "),
        "an empty result": Cause(envelope(result={}), "malformed", "result.spot: missing"),
        "no status": Cause(
            faults.Mutate(lambda e: e["result"]["spot"].pop("status")), "malformed", "spot.status: missing"
        ),
        "no assets": Cause(
            faults.Mutate(lambda e: e["result"]["spot"].pop("assets")), "malformed", "spot.assets: missing"
        ),
        "a coin twice": Cause(asset(coin="BTC"), "malformed", "result.spot.assets[1].coin: "),
        "a coin without a name": Cause(asset(coin=""), "malformed", "result.spot.assets[1].coin: "),
        "free is missing": Cause(asset(free=None), "malformed", "result.spot.assets[1].free: missing"),
        "free is a number": Cause(asset(free=1.5), "malformed", "result.spot.assets[1].free: "),
        "free is a list": Cause(asset(free=["1"]), "malformed", "result.spot.assets[1].free: "),
        "free is long": Cause(asset(free="1x" * 500_000), "malformed", "result.spot.assets[1].free: "),
    }
    for text in ("NaN", "Infinity", "-inf", "1e999", "0x10", "1_000", "1,5", " 1", "ten"):
        found[f"free is {text}"] = Cause(
            asset(free=text), "malformed", "result.spot.assets[1].free: not a finite decimal number"
        )
    codes = {
        "server": (10000, 10016, 131001, 131003, 131200, 131201, 131230),
        "auth": (10003, 10004, 10005, 10007, 10010, 33004, -2015),
        "account_mode": (10008, 10028, 100028),
        "region": (10009, 10024),
        "banned": (10027,),
        "request": (10001,),
    }
    for reason, each in codes.items():
        for code in each:
            found[f"retCode {code}"] = Cause(
                faults.RetCode(code, f"words {code}"), reason, f'retCode {code}: "words {code}"'
            )
    return found | in_other_wallets(found)


OF_EVERY_WALLET = (
    *("reset", "cut off", "hangs", "drips its body", "HTTP 503", "limit without a reset", "HTTP 401", "HTTP 403"),
    *("redirect", "any other code", "not JSON", "a compressed bomb", "no result", "retCode 10027", "retCode 10001"),
    "retCode 10008",
)
"""The client is the same for all wallets: these stand for each reason."""


def in_other_wallets(found: Mapping[str, Cause]) -> dict[str, Cause]:
    malformed = {
        "UNIFIED": {
            "no list": (envelope(result={}), "result.list: missing"),
            "an empty list": (envelope(result={"list": []}), "result.list: "),
            "a coin twice": (unified(coin="BTC"), "result.list[0].coin[1].coin: listed twice"),
            "walletBalance is missing": (unified(walletBalance=None), "result.list[0].coin[1].walletBalance: missing"),
            "locked is NaN": (unified(locked="NaN"), "result.list[0].coin[1].locked: not a finite"),
            "equity is a word": (unified(equity="ten"), "result.list[0].coin[1].equity: not a finite"),
            "usdValue is 1e999": (unified(usdValue="1e999"), "result.list[0].coin[1].usdValue: not a finite"),
        },
        "FUND": {
            "no balance": (envelope(result={}), "result.balance: missing"),
            "a coin twice": (fund(coin="BTC"), "result.balance[1].coin: listed twice"),
            "transferBalance is missing": (fund(transferBalance=None), "result.balance[1].transferBalance: missing"),
            "walletBalance is -inf": (fund(walletBalance="-inf"), "result.balance[1].walletBalance: not a finite"),
        },
    }
    others: dict[str, Cause] = {}
    for wallet, cases in malformed.items():
        others |= {f"{wallet}: {name}": replace(found[name], wallet=wallet) for name in OF_EVERY_WALLET}
        others |= {
            f"{wallet}: {name}": Cause(fault, "malformed", says, wallet) for name, (fault, says) in cases.items()
        }
    return others


CAUSES = causes()
RETRIED = ("network", "timeout", "server")
SELDOM = ("auth", "account_mode", "region")
WALLETS = {"SPOT": ASSET_INFO, "UNIFIED": WALLET_BALANCE, "FUND": COINS_BALANCE}
WELL = ("well 1", "well 2")
ACCOUNT_EVENTS = ("the account cannot be read", "the account can be read again")
KEY_EVENTS = ("the exchange refuses the key", "the exchange accepts the key again")
ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}
"""As in the image and the systemd unit."""

_SAMPLE = re.compile(r'(\w+)\{account="([^"]*)"(?:,account_type="(?:SPOT|UNIFIED|FUND)")?(?:,(\w+)="([^"]*)")?\} (\S+)')


@dataclass(frozen=True)
class Scrape:
    """One exposition, and the Unix time at which it was asked for and had arrived."""

    began: float
    ended: float
    text: str

    @functools.cached_property
    def accounts(self) -> Mapping[str, Mapping[tuple[str, str], float]]:
        """By account: the values by metric and by the label that is not the account's (`""` if there is none)."""
        found: dict[str, dict[tuple[str, str], float]] = {}
        for name, account, _, label, value in _SAMPLE.findall(self.text):
            found.setdefault(account, {})[name, label] = float(value)
        return found

    @property
    def resident_bytes(self) -> float:
        found = re.search(r"^process_resident_memory_bytes (\S+)", self.text, re.MULTILINE)
        assert found
        return float(found[1])


@dataclass
class History:
    """All that was seen, and when what was done."""

    exporter: ExporterProcess
    exchange: Exchange
    scrapes: list[Scrape] = field(default_factory=list)
    broken: float = 0.0
    healed: float = 0.0
    reloaded: float = 0.0

    def of(self, account: str) -> list[tuple[Scrape, Mapping[tuple[str, str], float]]]:
        return [(scrape, scrape.accounts[account]) for scrape in self.scrapes]

    def values(self, metric: str) -> Mapping[str, float]:
        """By account: the value that was scraped last."""
        latest = self.scrapes[-1].accounts if self.scrapes else {}
        return {name: values[metric, ""] for name, values in latest.items() if (metric, "") in values}

    def told(self, account: str, message: str) -> list[dict[str, Any]]:
        events = self.exporter.events(message)
        return [event for event in events if account in (event.get("account"), event.get("accounts"))]

    def requests(self, account: str, since: float, until: float) -> list[float]:
        """When the account's wallet was asked for."""
        wallet = WALLETS[CAUSES[account].wallet if account in CAUSES else "SPOT"]
        made = [each for each in self.exchange.accounts[account].requests if each.request.path == wallet]
        return [each.at for each in made if since <= each.at < until]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    exchange = Exchange(limits=UNLIMITED)
    for name in (*CAUSES, *WELL):
        exchange.add_account(name)
        give(exchange.accounts[name], OLD)
    CAUSES["a compressed bomb"].fault.play(Mock(), Response(200, b""))  # made once, which takes a while
    top = f"poll_interval: {INTERVAL:g}s\nstale_after: {STALE_AFTER:g}s"
    with SandboxServer(exchange) as server:
        types = {name: cause.wallet for name, cause in CAUSES.items()}
        config = config_for(exchange, server.base_url, top, account_types=types)
        config = config.replace("api:\n", f"api:\n  timeout: {TIMEOUT:g}s\n  max_requests_per_second: 1000\n")
        with ExporterProcess(config, tmp_path_factory.mktemp("faults"), environ=ONE_ARENA) as exporter:
            history = History(exporter, exchange)
            stop = threading.Event()
            scraper = threading.Thread(target=scrape_until, args=(history, stop))
            scraper.start()
            try:
                play(history)
            finally:
                stop.set()
                scraper.join()
        yield history


def holdings(free: str) -> dict[str, Holding]:
    return {"BTC": Holding(free, free), "ETH": Holding(free, free, free)}


def give(account: Account, amount: str) -> None:
    """The account has so much free, and as much again frozen, of two coins in the wallet that is read."""
    double = str(2 * Decimal(amount))
    if account.name not in CAUSES or CAUSES[account.name].wallet == "SPOT":
        account.holdings = holdings(amount)
        return
    account.mode = "unified"
    account.unified.rows = dict.fromkeys(("BTC", "ETH"), UnifiedHolding(double, amount))
    account.funding.rows = dict.fromkeys(("BTC", "ETH"), FundingHolding(double, amount))


def balances(name: str) -> list[tuple[str, str]]:
    """The metrics of balances, with their coins, that an account has; of withdrawals, those of the poll."""
    kinds = ("free", "frozen", "withdrawing") if CAUSES[name].wallet == "SPOT" else ("free", "frozen")
    return [(f"bybit_asset_{kind}", coin) for kind in kinds for coin in ("BTC", "ETH")]


def scrape_until(history: History, stop: threading.Event) -> None:
    with requests.Session() as session:
        while not stop.wait(0.1):
            began = time.time()
            response = session.get(history.exporter.base_url + "/metrics", timeout=10)
            history.scrapes.append(Scrape(began, time.time(), response.text))


def play(history: History) -> None:
    """Well, broken for longer than figures are kept, well again, reloaded."""
    up = functools.partial(all_up, history)
    eventually(lambda: up({*CAUSES, *WELL}), 30.0)
    # What is read beside the polls comes later, and then not again before the end.
    eventually(lambda: set(history.values("bybit_api_key_up")) == {*CAUSES, *WELL}, 60.0)
    funding = {name for name, cause in CAUSES.items() if cause.wallet == "FUND"}
    eventually(lambda: set(history.values("bybit_withdrawals_up")) == funding, 60.0)
    history.broken = time.time()
    for name, cause in CAUSES.items():
        account = history.exchange.accounts[name]
        account.fault = cause.fault
        give(account, NEW)
    time.sleep(STALE_AFTER + 2 * INTERVAL + SLACK)
    history.healed = time.time()
    for name in CAUSES:
        history.exchange.accounts[name].fault = None
    soon = {name for name, cause in CAUSES.items() if cause.reason not in SELDOM}
    eventually(lambda: up(soon), 30.0)
    history.reloaded = time.time()
    history.exporter.send(signal.SIGHUP)
    eventually(lambda: up({*CAUSES, *WELL}), 30.0)


def all_up(history: History, names: set[str]) -> bool:
    latest = history.scrapes[-1].accounts if history.scrapes else {}
    return all(latest.get(name, {}).get(("bybit_up", "")) == 1 for name in names)


EVERY = pytest.mark.parametrize("name", CAUSES)


@EVERY
def test_it_is_down_for_the_right_reason_and_no_other(history: History, name: str) -> None:
    reason = CAUSES[name].reason
    seen = history.of(name)
    _, last = seen[-1]
    failures = {label: value for (metric, label), value in last.items() if metric == "bybit_poll_failures_total"}
    assert set(failures) == set(FailureReason)
    assert {label for label, count in failures.items() if count} == {reason}
    assert failures[reason] == 1 if reason in SELDOM else failures[reason] >= 2
    ups = [(scrape, values.get(("bybit_up", ""))) for scrape, values in seen]
    down = [scrape for scrape, up in ups if up == 0]
    assert down
    assert down[0].began < history.broken + 2 * INTERVAL + 2 * TIMEOUT + SLACK
    assert all(up == 0 for scrape, up in ups if down[0].ended < scrape.began and scrape.ended < history.healed)


@EVERY
def test_the_figures_stay_until_they_are_stale_and_are_gone_then(history: History, name: str) -> None:
    gone = 0
    for scrape, values in history.of(name):
        success = values.get(("bybit_last_success_timestamp_seconds", ""))
        if success is None or scrape.began < history.broken or scrape.ended > history.healed:
            continue
        present = {key for key in balances(name) if key in values}
        if scrape.ended < success + STALE_AFTER - ON_ITS_WAY:
            assert present == set(balances(name))
        elif scrape.began > success + STALE_AFTER + 0.05:
            gone += 1
            assert not present
            assert values["bybit_up", ""] == 0
            assert (("bybit_account_status", "normal") in values) == (CAUSES[name].reason == "banned")
    assert gone >= 3


@EVERY
def test_no_value_is_ever_seen_that_was_not_served(history: History, name: str) -> None:
    for scrape, values in history.of(name):
        read = {values[key] for key in balances(name) if key in values and key != ("bybit_asset_withdrawing", "BTC")}
        assert read <= ({float(OLD)} if scrape.ended < history.healed else {float(OLD), float(NEW)})
        assert len(read) <= 1, "half of one answer, half of another"
        assert values.get(("bybit_asset_withdrawing", "BTC"), 0.0) == 0.0


@EVERY
def test_it_recovers(history: History, name: str) -> None:
    seldom = CAUSES[name].reason in SELDOM
    since = history.reloaded if seldom else history.healed
    back = next(scrape for scrape, values in history.of(name) if scrape.began > since and values["bybit_up", ""] == 1)
    assert back.began < since + 2 * INTERVAL + TIMEOUT + SLACK
    assert back.accounts[name]["bybit_asset_free", "BTC"] == float(NEW)


@EVERY
def test_counters_only_grow(history: History, name: str) -> None:
    values = [values.get(("bybit_polls_total", ""), 0.0) for _, values in history.of(name)]
    assert values == sorted(values)
    assert values[-1] > values[0]


@EVERY
def test_how_often_the_exchange_is_asked(history: History, name: str) -> None:
    reason, (_, last) = CAUSES[name].reason, history.of(name)[-1]
    failed = history.requests(name, history.broken, history.healed)
    if reason in SELDOM:
        assert len(failed) == 1
        waits = [values.get(("bybit_next_poll_timestamp_seconds", ""), 0.0) for _, values in history.of(name)]
        assert RARELY - INTERVAL <= max(waits) - failed[0] < RARELY + INTERVAL + SLACK
    elif name == "limit reset in 3 s":
        assert all(3.0 <= later - earlier < 3.0 + INTERVAL + SLACK for earlier, later in itertools.pairwise(failed))
        assert 2 <= len(failed) <= 4
    else:
        extra = len(history.requests(name, 0.0, math.inf)) - last["bybit_polls_total", ""]
        assert abs(extra - (last["bybit_poll_failures_total", reason] if reason in RETRIED else 0)) <= 2


@EVERY
def test_no_request_is_made_twice(history: History, name: str) -> None:
    """Also a retry is signed anew."""
    requests = [each.request for each in history.exchange.accounts[name].requests]
    made = [request.headers for request in requests if request.path == WALLETS[CAUSES[name].wallet]]
    assert len(made) > 2
    assert len({headers["x-bapi-sign"] for headers in made}) == len(made)
    stamps = [int(headers["x-bapi-timestamp"]) for headers in made]
    assert stamps == sorted(stamps)


@EVERY
def test_it_is_told_once_when_it_begins_and_once_when_it_ends(history: History, name: str) -> None:
    cause = CAUSES[name]
    of_key = bool(history.told(name, "the exchange refuses the key"))
    assert of_key == (cause.reason == "auth" and "10005" not in name)
    begin, end = KEY_EVENTS if of_key else ACCOUNT_EVENTS
    (begun,) = history.told(name, begin)
    assert begun["reason"] == cause.reason
    assert cause.says in begun["error"] + begun["advice"]
    assert len(begun["error"]) < 250
    assert begun["level"] == ("error" if cause.reason in (*SELDOM, "banned") else "warn")
    (ended,) = history.told(name, end)
    assert of_key or ended["reason"] == cause.reason


def test_a_refusal_that_says_banned_is_the_status_for_as_long_as_it_is_repeated(history: History) -> None:
    seen = [(scrape, values) for scrape, values in history.of("retCode 10027") if scrape.began > history.broken + SLACK]
    during = [values for scrape, values in seen if scrape.ended < history.healed]
    assert during
    for values in during:
        assert values["bybit_account_status", "banned"] == 1
        assert values["bybit_account_status", "normal"] == 0
    assert seen[-1][1]["bybit_account_status", "normal"] == 1
    assert seen[-1][1]["bybit_account_status", "banned"] == 0


@pytest.mark.parametrize("name", WELL)
def test_the_others_do_not_notice(history: History, name: str) -> None:
    assert all(values.get(("bybit_up", ""), 1) == 1 for _, values in history.of(name))
    asked = history.requests(name, history.broken, history.healed)
    assert all(later - earlier < INTERVAL + SLACK for earlier, later in itertools.pairwise(asked))


def test_memory_stays(history: History) -> None:
    before = max(scrape.resident_bytes for scrape in history.scrapes if scrape.ended < history.broken)
    after = max(scrape.resident_bytes for scrape in history.scrapes)
    assert after - before < 40e6


def test_a_redirect_leads_nowhere(history: History) -> None:
    assert elsewhere().accepted_connections == 0


def test_no_secret_is_in_any_log_or_scrape(history: History) -> None:
    for account in history.exchange.accounts.values():
        for secret in (account.api_key, account.api_secret):
            assert secret not in history.exporter.raw_log
            assert secret not in history.scrapes[-1].text


def test_nothing_else_is_told(history: History) -> None:
    """A library that warns at every poll would fill a disk."""
    messages = {event["msg"] for event in history.exporter.log}
    assert messages <= {
        *ACCOUNT_EVENTS,
        *KEY_EVENTS,
        "configuration reloaded",
        "listening",
    }


def test_the_exchange_goes_away_and_comes_back(tmp_path: Path) -> None:
    exchange = Exchange(limits=UNLIMITED)
    exchange.add_account("main", holdings(OLD))
    server = SandboxServer(exchange).start()
    with ExporterProcess(config_for(exchange, server.base_url), tmp_path) as exporter:
        exporter.wait_for(1.0, "bybit_up")
        server.stop()
        exporter.wait_for(0.0, "bybit_up")
        (begun,) = exporter.events("the account cannot be read")
        assert (begun["reason"], "refused" in begun["error"]) == ("network", True)
        with SandboxServer(exchange, port=server.port):
            exporter.wait_for(1.0, "bybit_up", deadline=2 * INTERVAL + SLACK)
