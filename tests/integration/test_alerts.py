"""From the exchange to the pager: the exporter, and Prometheus and Alertmanager as they are shipped.

What is shipped is changed in these ways only, so that nobody waits for an hour and nothing leaves this machine:

- alerts.yml: `for`, `keep_firing_for` and `interval` are divided by `HURRY`; windows and offsets stay as they are.
- prometheus.yml: addresses are replaced, and the intervals are a second.
- alertmanager.yml: addresses and the directory of the secrets are replaced, and a group's waits divided by `HURRY`.

The tests run with one exporter, and with a pair that polls the same accounts.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from bybit_exporter import durations
from bybit_exporter.sandbox import BANNED, NORMAL, UNLIMITED, Account, Exchange, Holding, Refusal, SandboxServer
from tests.exporter_process import ExporterProcess, config_for
from tests.support import eventually, free_port, require_real

ROOT = Path(__file__).parent.parent.parent
HURRY = 150
"""10 minutes become 4 seconds: more than a slow machine needs for a scrape."""

POLL_SECONDS = SCRAPE_SECONDS = EVALUATION_SECONDS = 1.0
BAN_TO_PAGE_SECONDS = POLL_SECONDS + SCRAPE_SECONDS + EVALUATION_SECONDS
"""The sum that docs/alerts.md states; `group_wait` of the page is 0 s."""

MARGIN_SECONDS = 5.0
"""For the requests between the programs, on a busy machine."""

LONG_ENOUGH = 8
"""Evaluations, a second apart, after which every warning whose cause is there has fired."""

DEADLINE_SECONDS = 40.0
PAGER_TOKEN = "the-pager-token"

HOLDINGS = {"USDT": Holding("15000"), "BTC": Holding("1")}

Fired = tuple[str, str, str]
"""Alert, severity, account."""

BAN: Fired = ("BybitAccountBanned", "critical", "main")
REFUSED: Fired = ("BybitCredentialsRefused", "warning", "main")
LOW: Fired = ("BybitFreeBalanceLow", "warning", "main")
DOWN: Fired = ("BybitExporterDown", "critical", "")


WATCHDOG: Fired = ("BybitWatchdog", "none", "")


def fired(labels: Mapping[str, str]) -> Fired:
    return labels["alertname"], labels["severity"], labels.get("account", "")


@dataclass
class Pager:
    """A webhook receiver."""

    url: str = ""
    pages: list[tuple[Fired, str]] = field(default_factory=list)
    """What each page was about, and whether it began or ended."""
    summaries: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    pings: int = 0
    """How often the watchdog was received."""

    def forget(self) -> None:
        for what in (self.pages, self.summaries, self.tokens):
            what.clear()

    def take(self, path: str, authorization: str, message: dict[str, Any]) -> None:
        if path == "/watchdog":
            assert {fired(alert["labels"]) for alert in message["alerts"]} == {WATCHDOG}
            self.pings += 1
            return
        self.tokens.add(authorization)
        for alert in message["alerts"]:
            self.pages.append((fired(alert["labels"]), alert["status"]))
            self.summaries.add(alert["annotations"].get("summary", ""))


@dataclass
class Monitoring:
    """A running Prometheus and Alertmanager."""

    prometheus: str
    alertmanager: str
    began: float = 0.0
    """When the test began, by Prometheus's clock."""

    def query(self, expression: str) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.prometheus}/api/v1/query", {"query": expression}, timeout=10).json()
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def firing(self) -> set[Fired]:
        alerts = requests.get(f"{self.prometheus}/api/v1/alerts", timeout=10).json()["data"]["alerts"]
        return {fired(alert["labels"]) for alert in alerts if alert["state"] == "firing"} - {WATCHDOG}

    def ever_fired(self) -> set[Fired]:
        """What has fired since the test began, for however short a time."""
        elapsed = durations.show(time.time() - self.began)
        series = self.query(f'max_over_time(ALERTS{{alertstate="firing"}}[{elapsed}])')
        return {fired(each["metric"]) for each in series} - {WATCHDOG}

    def wait_for(self, *expected: Fired) -> None:
        eventually(lambda: self.firing() == set(expected), DEADLINE_SECONDS)

    def evaluate(self, times: int) -> None:
        """Returns once every group of rules has been evaluated so often from now on."""
        enough = self._evaluations() + times
        eventually(lambda: self._evaluations() >= enough, DEADLINE_SECONDS)

    def _evaluations(self) -> float:
        text = requests.get(f"{self.prometheus}/metrics", timeout=10).text
        return min(map(float, re.findall(r"^prometheus_rule_group_iterations_total\{.*\} (\S+)$", text, re.MULTILINE)))

    def routed(self) -> dict[Fired, tuple[str, str]]:
        """What Alertmanager does with each alert: its receiver, and whether it is active or suppressed."""
        alerts = requests.get(f"{self.alertmanager}/api/v2/alerts", timeout=10).json()
        states = {fired(alert["labels"]): (alert["receivers"][0]["name"], alert["status"]["state"]) for alert in alerts}
        return {alert: state for alert, state in states.items() if alert != WATCHDOG}


@contextmanager
def pager() -> Iterator[Pager]:
    it = Pager()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            it.take(self.path, self.headers.get("Authorization", ""), json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        it.url = f"http://127.0.0.1:{server.server_address[1]}/"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield it
        server.shutdown()
        thread.join()


@contextmanager
def running(log: Path, *command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen([*map(str, command)], stdout=output, stderr=output, cwd=log.parent)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def hurried(text: str, *keys: str) -> str:
    def divided(match: re.Match[str]) -> str:
        return match[1] + durations.show(max(durations.parse(match[2]) / HURRY, 0.1))

    return re.sub(rf"^( +(?:{'|'.join(keys)}): )([1-9]\w*)$", divided, text, flags=re.MULTILINE)


def replaced(text: str, **addresses: str) -> str:
    """Fails if an address that leaves this machine is left over."""
    for old, new in addresses.items():
        text, count = re.subn(rf"\b{old}[\w.-]*:\d+|https://{old}\.[\w./-]+", new, text)
        assert count, old
    return text


def ready(url: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        return requests.get(f"{url}/-/ready", timeout=10).status_code == 200
    except requests.ConnectionError:
        return False


@contextmanager
def alertmanager(directory: Path, pager_url: str) -> Iterator[str]:
    """The address of an Alertmanager."""
    require_real(shutil.which("prometheus-alertmanager") is not None, "prometheus-alertmanager (Debian)")
    for name in ("pager_token", "smtp_password"):
        (directory / name).write_text(PAGER_TOKEN + "\n")
    shipped = (ROOT / "alertmanager" / "alertmanager.yml").read_text().replace("/run/secrets", str(directory))
    config = directory / "alertmanager.yml"
    local = replaced(shipped, pager=pager_url, watchdog=f"{pager_url}watchdog", mail="127.0.0.1:1")
    config.write_text(hurried(local, "group_wait", "group_interval", "repeat_interval"))
    address, log = f"127.0.0.1:{free_port()}", directory / "alertmanager.log"
    flags = (f"--web.listen-address={address}", f"--storage.path={directory / 'am'}", "--cluster.listen-address=")
    with running(log, "prometheus-alertmanager", f"--config.file={config}", *flags) as process:
        eventually(lambda: ready(f"http://{address}", process, log), DEADLINE_SECONDS)
        yield address


@contextmanager
def prometheus(directory: Path, **addresses: str) -> Iterator[str]:
    """The address of a Prometheus with the shipped rules and the example of thresholds."""
    require_real(shutil.which("prometheus") is not None, "prometheus (Debian)")
    shipped = ROOT / "prometheus"
    config = replaced((shipped / "prometheus.yml").read_text(), **addresses)
    (directory / "prometheus.yml").write_text(re.sub(r"_interval: \w+", "_interval: 1s", config))
    alerts = (shipped / "alerts.yml").read_text()
    (directory / "alerts.yml").write_text(hurried(alerts, "for", "keep_firing_for", "interval"))
    shutil.copy(shipped / "thresholds.example.yml", directory / "thresholds.yml")
    address, log = f"127.0.0.1:{free_port()}", directory / "prometheus.log"
    flags = [f"--web.listen-address={address}", f"--storage.tsdb.path={directory / 'tsdb'}"]
    flags.append("--rules.alert.resend-delay=1s")  # what is sent before Alertmanager has been discovered is lost
    with running(log, "prometheus", f"--config.file={directory / 'prometheus.yml'}", *flags) as process:
        eventually(lambda: ready(f"http://{address}", process, log), DEADLINE_SECONDS)
        yield address


@dataclass
class Stack:
    """Everything that runs, and how the exporter is started again."""

    main: Account
    exporters: list[ExporterProcess]
    start_exporter: Callable[[int], ExporterProcess]
    """Starts the exporter of this index again."""
    monitoring: Monitoring
    pager: Pager

    def reload(self) -> None:
        """Reloads every exporter, which then polls at once."""
        for exporter in self.exporters:
            exporter.send(signal.SIGHUP)


@pytest.fixture(scope="module", params=[1, 2], ids=["one exporter", "a pair"])
def running_stack(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("stack")
    exchange = Exchange(limits=UNLIMITED)
    main = exchange.add_account("main", HOLDINGS)
    exchange.add_account("hedge", {"ETH": Holding("5", "1")})
    scraped = [f"127.0.0.1:{free_port()}" for _ in range(request.param)]
    with ExitStack() as entered:
        server = entered.enter_context(SandboxServer(exchange))
        config = config_for(exchange, server.base_url, f"poll_interval: {durations.show(POLL_SECONDS)}")

        def start_exporter(index: int) -> ExporterProcess:
            own = directory / str(index)
            own.mkdir(exist_ok=True)
            return entered.enter_context(ExporterProcess(config, own, [f"--web.listen-address={scraped[index]}"]))

        exporters = [start_exporter(index) for index in range(len(scraped))]
        receiver = entered.enter_context(pager())
        alerts = entered.enter_context(alertmanager(directory, receiver.url))
        targets = '", "'.join(scraped)
        rules = entered.enter_context(prometheus(directory, exporter=targets, alertmanager=alerts))
        yield Stack(main, exporters, start_exporter, Monitoring(f"http://{rules}", f"http://{alerts}"), receiver)


@pytest.fixture
def stack(running_stack: Stack) -> Iterator[Stack]:
    """Everything works, and Prometheus has seen it."""
    it, monitoring = running_stack, running_stack.monitoring
    polled = 2 * len(it.exporters)
    eventually(lambda: len(monitoring.query("bybit_up == 1 and bybit_polls_total > 2")) == polled, DEADLINE_SECONDS)
    monitoring.wait_for()
    eventually(lambda: not monitoring.routed(), DEADLINE_SECONDS)
    it.pager.forget()
    monitoring.began = time.time()
    yield it
    it.main.status, it.main.refusal = NORMAL, None
    it.main.update(HOLDINGS)
    it.reload()


def test_page_after_a_ban_comes_within_the_sum_of_the_intervals(stack: Stack) -> None:
    stack.main.status = BANNED
    eventually(lambda: (BAN, "firing") in stack.pager.pages, BAN_TO_PAGE_SECONDS + MARGIN_SECONDS)
    stack.main.status = NORMAL
    eventually(lambda: (BAN, "resolved") in stack.pager.pages, DEADLINE_SECONDS)
    assert len(stack.pager.pages) == 2, "one ban is one page, of a pair as well"


def test_watchdog_reaches_the_receiver_outside_again_and_again(stack: Stack) -> None:
    received = stack.pager.pings
    eventually(lambda: stack.pager.pings >= received + 2, DEADLINE_SECONDS)


def test_nothing_fires_while_all_is_well_and_a_ban_pages(stack: Stack) -> None:
    monitoring = stack.monitoring
    monitoring.evaluate(LONG_ENOUGH)
    assert monitoring.ever_fired() == set()

    stack.main.status = BANNED
    monitoring.wait_for(BAN)
    eventually(lambda: (BAN, "firing") in stack.pager.pages, DEADLINE_SECONDS)
    stack.main.status = NORMAL
    monitoring.wait_for()
    eventually(lambda: (BAN, "resolved") in stack.pager.pages, DEADLINE_SECONDS)

    stack.main.refusal = Refusal(10027)
    monitoring.wait_for(BAN)
    eventually(
        lambda: all(each.value("bybit_asset_free", account="main", coin="BTC") is None for each in stack.exporters),
        DEADLINE_SECONDS,
    )
    monitoring.evaluate(LONG_ENOUGH)
    stack.main.refusal = None
    monitoring.wait_for()
    eventually(lambda: stack.pager.pages[-2:] == [(BAN, "firing"), (BAN, "resolved")], DEADLINE_SECONDS)

    assert {page for page, _ in stack.pager.pages} == monitoring.ever_fired() == {BAN}
    assert stack.pager.summaries == {"Bybit has banned account main"}
    assert stack.pager.tokens == {f"Bearer {PAGER_TOKEN}"}


def test_a_refused_key_fires_its_alert_alone_and_is_mailed(stack: Stack) -> None:
    stack.main.refusal = Refusal(10003)
    stack.monitoring.wait_for(REFUSED)
    eventually(lambda: stack.monitoring.routed() == {REFUSED: ("mail", "active")}, DEADLINE_SECONDS)
    stack.monitoring.evaluate(LONG_ENOUGH)
    stack.main.refusal = None
    stack.reload()  # the exporter would poll again in 5 minutes
    stack.monitoring.wait_for()
    assert stack.monitoring.ever_fired() == {REFUSED}
    assert stack.pager.pages == []


def test_an_exporter_that_is_stopped_fires_its_alert_alone(stack: Stack) -> None:
    stack.exporters[0].send(signal.SIGTERM)
    stack.monitoring.wait_for(DOWN)
    stack.monitoring.evaluate(LONG_ENOUGH)
    stack.exporters[0] = stack.start_exporter(0)
    stack.monitoring.wait_for()
    assert stack.monitoring.ever_fired() == {DOWN}


def test_a_low_balance_fires_by_the_threshold_of_the_user_and_is_not_told_on(stack: Stack) -> None:
    stack.main.update({"USDT": Holding("9876.5")})
    stack.monitoring.wait_for(LOW)
    eventually(lambda: stack.monitoring.routed() == {LOW: ("mail", "active")}, DEADLINE_SECONDS)
    told = requests.get(f"{stack.monitoring.alertmanager}/api/v2/alerts", timeout=10).text
    assert "USDT" in told
    assert "9876" not in told
    stack.main.update(HOLDINGS)
    stack.monitoring.wait_for()
    assert stack.monitoring.ever_fired() == {LOW}


SAME = {"job": "bybit", "account": "main", "coin": "USDT"}


@pytest.mark.parametrize(
    ("cause", "consequence"),
    [
        (("BybitPollsFailing", "critical"), ("BybitPollsFailing", "warning")),
        (("BybitAccountBanned", "critical"), ("BybitCredentialsRefused", "critical")),
        (("BybitAccountBanned", "critical"), ("BybitFiguresStale", "warning")),
        (("BybitLimitsExceeded", "warning"), ("BybitRateLimitNearlyUsed", "warning")),
        (("BybitKeyExpires", "critical"), ("BybitKeyExpires", "warning")),
        (("BybitKeyMayWithdraw", "critical"), ("BybitKeyNotReadOnly", "warning")),
        (("BybitLiquidationNear", "critical"), ("BybitLiquidationNear", "warning")),
        (("BybitFreeBalanceFell", "critical"), ("BybitWithdrawalUnderWay", "warning")),
        (("BybitFreeBalanceFell", "critical"), ("BybitFreeBalanceLow", "warning")),
        (("BybitWithdrawalStuck", "warning"), ("BybitWithdrawalUnderWay", "warning")),
    ],
)
def test_one_cause_makes_one_message(
    shared_alertmanager: str, request: pytest.FixtureRequest, cause: tuple[str, str], consequence: tuple[str, str]
) -> None:
    """Of this account; the same about another account is told."""
    here, there = f"main-{request.node.name}", f"other-{request.node.name}"
    labels = [(cause, here), (consequence, here), (consequence, there)]
    alerts = [
        {"labels": {"alertname": name, "severity": severity, **SAME, "account": account}}
        for (name, severity), account in labels
    ]
    assert requests.post(f"http://{shared_alertmanager}/api/v2/alerts", json=alerts, timeout=10).status_code == 200
    states = Monitoring("", f"http://{shared_alertmanager}").routed
    eventually(lambda: len([each for each in states() if each[2] in (here, there)]) == 3, DEADLINE_SECONDS)
    eventually(lambda: states()[(*consequence, here)][1] == "suppressed", DEADLINE_SECONDS)
    assert states()[(*cause, here)][1] == "active"
    assert states()[(*consequence, there)][1] == "active"


@pytest.fixture(scope="module")
def shared_alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pager() as receiver, alertmanager(tmp_path_factory.mktemp("alertmanager"), receiver.url) as address:
        yield address
