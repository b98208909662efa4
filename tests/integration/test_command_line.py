"""The program as a shell sees it: flags, output, exit status, signals."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bybit_exporter import __version__
from bybit_exporter.cli import main as run_program
from bybit_exporter.cli.flags import parse_flags
from bybit_exporter.sandbox import (
    ASSET_INFO,
    KEY_INFO,
    TICKERS,
    Account,
    Exchange,
    Holding,
    Refusal,
    SandboxServer,
    faults,
)
from tests.exporter_process import ROOT, ExporterProcess, HangingReads, config_for, parse, run_exporter, write_private
from tests.support import eventually, require_real, seconds_to_end

pytestmark = pytest.mark.usefixtures("private_files")

CANARY = "CANARY-dG9wLXNlY3JldA"


@pytest.fixture
def main() -> Account:
    return Exchange().add_account("main", {"ETH": Holding("11.53485")})


@pytest.fixture
def server(main: Account) -> Iterator[SandboxServer]:
    with SandboxServer(main.exchange) as server:
        yield server


def configure(server: SandboxServer, directory: Path) -> None:
    write_private(directory / "config.yaml", config_for(server.exchange, server.base_url))


# What is wrong on the command line is said in one line, before anything else happens.

LOG_LEVELS = "(choose from 'debug', 'info', 'warn', 'error')"
BROKEN = [
    (["--nonsense"], "unknown flag --nonsense; see --help"),
    ([f"--nonsense={CANARY}"], "unknown flag --nonsense; see --help"),
    (["--nonsense", CANARY], "unknown flag --nonsense; see --help"),
    (["-x"], "unknown flag -x; see --help"),
    ([CANARY], "takes flags only; see --help"),
    (["--once", CANARY], "takes flags only; see --help"),
    (["--config"], "unknown flag --config; did you mean --config.file? See --help"),
    (["-config.file=x"], "unknown flag -config.file; did you mean --config.file? See --help"),
    (
        ["--web.listen-adress=:9836"],
        "unknown flag --web.listen-adress; did you mean --web.listen-address? See --help",
    ),
    (
        ["--web.listen-address=:1", "--web.listen-address=[::1]:1", "--web.listen-address=:1"],
        "argument --web.listen-address: :1 is given twice",
    ),
    (["--config.file"], "argument --config.file: expected one argument"),
    (["--config.file="], "argument --config.file: is empty; must be the path of a file"),
    (
        ["--web.config.file=", "--demo", "--check-config"],
        "argument --web.config.file: is empty; must be the path of a file",
    ),
    (["--log.level=loud"], f"argument --log.level: invalid choice: 'loud' {LOG_LEVELS}"),
    (["--log.level", "INFO"], f"argument --log.level: invalid choice: 'INFO' {LOG_LEVELS}"),
    (["--log.format=xml"], "argument --log.format: invalid choice: 'xml' (choose from 'logfmt', 'json')"),
    (
        ["--web.listen-address=9836"],
        'argument --web.listen-address: "9836" is not host:port, :port or [::1]:port',
    ),
    (
        ["--web.listen-address=127.0.0.1:70000"],
        'argument --web.listen-address: "127.0.0.1:70000" is not host:port, :port or [::1]:port',
    ),
    (["--web.listen-address=::1:80"], 'argument --web.listen-address: "::1:80" is not host:port, :port or [::1]:port'),
    (["--web.telemetry-path=metrics"], 'argument --web.telemetry-path: "metrics" is not a path such as /metrics'),
    (["--web.telemetry-path=/-/x"], 'argument --web.telemetry-path: "/-/x" is not a path such as /metrics'),
    (
        ["--web.telemetry-path=//host/x", "--demo", "--check-config"],
        'argument --web.telemetry-path: "//host/x" is not a path such as /metrics',
    ),
    (["--web.telemetry-path=/{x}"], 'argument --web.telemetry-path: "/{x}" is not a path such as /metrics'),
    (["--once", "--check-config"], "argument --check-config: not allowed with argument --once"),
    (["--shard=x"], 'argument --shard: "x" is neither a whole number from 0 to 99998 nor auto'),
    (["--shard=-1"], 'argument --shard: "-1" is neither a whole number from 0 to 99998 nor auto'),
    (["--shard=1"], "argument --shard: 1 is not below --total-shards, which is 1; shards are counted from 0"),
    (
        ["--shard", "4", "--total-shards", "4", "--once"],
        "argument --shard: 4 is not below --total-shards, which is 4; shards are counted from 0",
    ),
    (["--total-shards=0"], 'argument --total-shards: "0" is not a whole number from 1 to 99999'),
    (["--total-shards=auto"], 'argument --total-shards: "auto" is not a whole number from 1 to 99999'),
    (["--version=1"], "argument --version: ignored explicit argument '1'"),
]


@pytest.mark.usefixtures("restored_process")
@pytest.mark.parametrize(("flags", "complaint"), BROKEN, ids=[" ".join(flags) for flags, _ in BROKEN])
def test_broken_command_lines(flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In this process, which is the same program: it says so before it sets up anything."""
    with pytest.raises(SystemExit) as ended:
        run_program(flags)
    assert (ended.value.code, *capsys.readouterr()) == (2, "", f"bybit-exporter: {complaint}\n")


def test_broken_command_line_ends_the_process(tmp_path: Path) -> None:
    done = run_exporter("--nonsense", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "bybit-exporter: unknown flag --nonsense; see --help\n",
    )


FLAGS = {
    "--config.file": "config.yaml",
    "--web.listen-address": "127.0.0.1:9836",
    "--web.telemetry-path": "/metrics",
    "--web.config.file": None,
    "--web.max-connections": "256",
    "--web.enable-lifecycle": "off",
    "--log.level": "info",
    "--log.format": "logfmt",
    "--check-config": None,
    "--once": None,
    "--demo": None,
    "--shard": "0",
    "--total-shards": "1",
    "--version": None,
}


def test_help_names_every_flag_and_its_default(tmp_path: Path) -> None:
    done = run_exporter("--help", cwd=tmp_path, environ={"COLUMNS": "1000"})
    assert (done.returncode, done.stderr) == (0, "")
    descriptions = dict(re.findall(r"^  (--[a-z.-]+)((?:.|\n(?!  -))*)", done.stdout, re.MULTILINE))
    for flag, default in FLAGS.items():
        assert re.findall(r"\(default: (.*?)\)", descriptions[flag]) == ([] if default is None else [default])


@pytest.mark.parametrize(
    ("environ", "revision"), [({"BYBIT_EXPORTER_REVISION": "abc123"}, "revision abc123, "), ({}, "")]
)
def test_version_names_the_revision_if_it_is_known(environ: dict[str, str], revision: str, tmp_path: Path) -> None:
    done = run_exporter("--version", cwd=tmp_path, environ=environ)
    python = ".".join(map(str, sys.version_info[:3]))
    expected = f"bybit-exporter {__version__} ({revision}Python {python})\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def test_exporter_py_without_its_libraries_says_how_to_install_them(tmp_path: Path) -> None:
    command = [sys.executable, "-S", str(ROOT / "exporter.py")]  # -S: without the installed packages
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("exporter.py: No module named ")
    assert "`make install`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("library", ["structlog", "requests", "uvicorn", "isal"])
def test_exporter_py_without_one_library_says_how_to_install_it(library: str, tmp_path: Path) -> None:
    """Those of the web server are imported only when it starts."""
    run = "runpy.run_path(sys.argv[0], run_name='__main__')"
    code = f"import runpy, sys; del sys.argv[0]; sys.modules[{library!r}] = None; {run}"
    command = [sys.executable, "-c", code, str(ROOT / "exporter.py"), "--demo", "--web.listen-address=127.0.0.1:0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"exporter.py: import of {library} halted" in done.stderr
    assert "`make install`" in done.stderr
    assert "Traceback" not in done.stderr


def test_python_m_bybit_exporter_is_the_same_program(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bybit_exporter", "--nonsense"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "bybit-exporter: unknown flag --nonsense; see --help\n")


def test_the_console_script_is_the_same_program(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("bybit-exporter")
    require_real(script.exists(), "the package (pip install --no-deps --editable .)")
    done = subprocess.run([script, "--nonsense"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "bybit-exporter: unknown flag --nonsense; see --help\n")


# --check-config and --once


def test_check_config_asks_the_exchange_nothing(server: SandboxServer, tmp_path: Path) -> None:
    configure(server, tmp_path)
    done = run_exporter("--check-config", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
    assert server.accepted_connections == 0


@pytest.mark.parametrize("way", ["environment", "files"])
def test_the_example_is_valid_once_its_two_secrets_are_there(way: str, tmp_path: Path) -> None:
    text = (ROOT / "config.example.yaml").read_text()
    environ = {}
    if way == "environment":
        environ = {"BYBIT_API_KEY": "key", "BYBIT_API_SECRET": "secret"}
    else:
        for name in re.findall(r"# api_(?:key|secret)_file: (\S+)", text):
            write_private(tmp_path / name, f"{name}\n")
        text = re.sub(r"# (api_(?:key|secret)_file:)", r"\1", text)
    write_private(tmp_path / "config.yaml", text)
    done = run_exporter("--check-config", cwd=tmp_path, environ=environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


def test_once_prints_the_exposition_of_every_account(server: SandboxServer, tmp_path: Path) -> None:
    server.exchange.add_account("other", {"BTC": Holding("2", "1", "0.5")})
    configure(server, tmp_path)
    done = run_exporter("--once", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    samples = parse(done.stdout)

    def value(name: str, **labels: str) -> float:
        return samples[name, frozenset({"account_type": "SPOT", **labels}.items())]

    assert value("bybit_asset_free", account="main", coin="ETH") == 11.53485
    assert value("bybit_asset_withdrawing", account="other", coin="BTC") == 0.5
    assert value("bybit_up", account="main") == value("bybit_up", account="other") == 1
    asked = Counter(f"{recorded.account} {recorded.request.path}" for recorded in server.exchange.requests)
    of_accounts = [f"{name} {path}" for name in ("main", "other") for path in (ASSET_INFO, KEY_INFO)]
    assert asked == dict.fromkeys([*of_accounts, f"None {TICKERS}"], 1)


def test_once_fails_if_one_account_fails_and_prints_the_rest(
    server: SandboxServer, main: Account, tmp_path: Path
) -> None:
    server.exchange.add_account("other", {"BTC": Holding("2")})
    main.refusal = Refusal(10003)
    configure(server, tmp_path)
    done = run_exporter("--once", "--log.format=json", cwd=tmp_path)
    assert done.returncode == 1
    samples = parse(done.stdout)
    main_labels, other_labels = ({("account", name), ("account_type", "SPOT")} for name in ("main", "other"))
    assert samples["bybit_up", frozenset(main_labels)] == 0
    assert samples["bybit_up", frozenset(other_labels)] == 1
    assert samples["bybit_poll_failures_total", frozenset({*main_labels, ("reason", "auth")})] == 1
    assert samples["bybit_asset_free", frozenset({*other_labels, ("coin", "BTC")})] == 2
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert {event["msg"] for event in events} == {"the exchange refuses the key"}
    assert [(event["accounts"], event["reason"]) for event in events] == [("main", "auth")]


def test_once_with_a_reader_that_leaves_early(server: SandboxServer, tmp_path: Path) -> None:
    configure(server, tmp_path)
    command = f"{sys.executable} {ROOT}/exporter.py --once | true"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""


@pytest.mark.parametrize("mode", ["--once", "--check-config"])
@pytest.mark.parametrize(
    ("stdout", "problem"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
def test_a_result_that_cannot_be_written(
    mode: str, stdout: str, problem: str, server: SandboxServer, tmp_path: Path
) -> None:
    configure(server, tmp_path)
    command = f"{sys.executable} {ROOT}/exporter.py {mode} {stdout}"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, f"bybit-exporter: cannot write the result: {problem}\n")


def test_without_a_stderr_it_runs_all_the_same(server: SandboxServer, tmp_path: Path) -> None:
    configure(server, tmp_path)
    command = f"{sys.executable} {ROOT}/exporter.py --demo --once 2>&-"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "bybit_asset_free" in done.stdout


def test_promtool_has_nothing_to_say_about_once(server: SandboxServer, tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    require_real(promtool is not None, "prometheus (Debian)")
    configure(server, tmp_path)
    exposition = run_exporter("--once", cwd=tmp_path).stdout
    assert "bybit_asset_free" in exposition
    checked = subprocess.run([str(promtool), "check", "metrics"], input=exposition, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


# Ends


ENDINGS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@ENDINGS
def test_a_signal_ends_it_cleanly(server: SandboxServer, tmp_path: Path, number: signal.Signals) -> None:
    with ExporterProcess(config_for(server.exchange, server.base_url), tmp_path) as exporter:
        exporter.wait_for(1, "bybit_up")
        assert_ends(exporter, number)
    assert [event["msg"] for event in exporter.log] == ["listening", "stopping"]


@ENDINGS
def test_a_signal_ends_it_while_a_request_hangs(
    server: SandboxServer, main: Account, tmp_path: Path, number: signal.Signals
) -> None:
    main.fault = faults.Hang()
    with ExporterProcess(config_for(server.exchange, server.base_url), tmp_path) as exporter:
        eventually(lambda: main.request_count, 10)
        assert_ends(exporter, number)


@ENDINGS
def test_a_signal_ends_it_whatever_clients_do(server: SandboxServer, tmp_path: Path, number: signal.Signals) -> None:
    """One idles on a kept-alive connection, one is half through its request, one has said nothing at all."""
    with (
        ExporterProcess(config_for(server.exchange, server.base_url), tmp_path) as exporter,
        contextlib.ExitStack() as s,
    ):
        exporter.wait_for(1, "bybit_up")
        idle, half_open, _silent = (s.enter_context(connect(exporter)) for _ in range(3))
        idle.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(1000).startswith(b"HTTP/1.1 200")
        half_open.sendall(b"GET /metrics HTTP/1.1\r\nHost:")
        assert_ends(exporter, number)


def test_a_signal_ends_it_while_a_client_does_not_read_its_answer(
    server: SandboxServer, main: Account, tmp_path: Path
) -> None:
    main.holdings = {f"C{index}": Holding("1") for index in range(10_000)}  # more than fits into socket buffers
    with (
        ExporterProcess(config_for(server.exchange, server.base_url), tmp_path) as exporter,
        connect(exporter) as client,
    ):
        eventually(lambda: exporter.get("/-/ready").status_code == 200, 20)
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5)
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert_ends(exporter, signal.SIGTERM)


def test_a_second_signal_changes_nothing(server: SandboxServer, main: Account, tmp_path: Path) -> None:
    main.fault = faults.Hang()
    with ExporterProcess(config_for(server.exchange, server.base_url), tmp_path) as exporter:
        eventually(lambda: main.request_count, 10)
        exporter.send(signal.SIGINT)
        assert_ends(exporter, signal.SIGINT)


@ENDINGS
@pytest.mark.parametrize("way", ["SIGHUP", "POST"])
def test_a_signal_ends_it_while_a_reload_hangs(
    server: SandboxServer, tmp_path: Path, number: signal.Signals, way: str
) -> None:
    reads, config = HangingReads(tmp_path), config_for(server.exchange, server.base_url)
    with ExporterProcess(config, tmp_path, ["--web.enable-lifecycle"], reads.environ) as exporter:
        reads.start()
        with contextlib.ExitStack() as cleanup:
            if way == "SIGHUP":
                exporter.send(signal.SIGHUP)
            else:
                client = cleanup.enter_context(connect(exporter))
                client.sendall(b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\n\r\n")
            reads.wait_for_reader()
            assert_ends(exporter, number)


@ENDINGS
def test_a_signal_ends_it_while_reading_the_web_configuration_hangs(
    server: SandboxServer, tmp_path: Path, number: signal.Signals
) -> None:
    reads = HangingReads(tmp_path, "bybit_exporter.web.server.web_config")
    web_file = tmp_path / "web.yml"
    web_file.touch()
    config, flags = config_for(server.exchange, server.base_url), [f"--web.config.file={web_file}"]
    with ExporterProcess(config, tmp_path, flags, reads.environ) as exporter:
        reads.start()
        web_file.write_text("rate_limit: {interval: 1s, burst: 100}\n")
        reads.wait_for_reader()
        assert_ends(exporter, number)


def test_sighup_during_the_start_reloads_as_soon_as_it_runs(server: SandboxServer, tmp_path: Path) -> None:
    reads, config = HangingReads(tmp_path), config_for(server.exchange, server.base_url)
    reads.start()
    exporter = ExporterProcess(config, tmp_path, (), reads.environ)

    def send_during_start() -> None:
        reads.wait_for_reader()
        exporter.send(signal.SIGHUP)
        reads.stop()

    sender = threading.Thread(target=send_during_start)
    sender.start()
    with exporter:
        sender.join()
        eventually(lambda: list(exporter.events("configuration reloaded")), 10)
        assert_ends(exporter, signal.SIGTERM)


def connect(exporter: ExporterProcess) -> socket.socket:
    host, _, port = exporter.base_url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def assert_ends(exporter: ExporterProcess, number: signal.Signals) -> None:
    """Within two seconds, as promised, and with status 0."""
    exporter.send(number)
    exporter.ends_with(0, within=seconds_to_end())
    assert "Traceback" not in exporter.raw_log, exporter.raw_log


def test_an_address_in_use(server: SandboxServer, tmp_path: Path) -> None:
    configure(server, tmp_path)
    address = f"127.0.0.1:{server.port}"
    done = run_exporter(f"--web.listen-address={address}", cwd=tmp_path)
    flag = "--web.listen-address=127.0.0.1:PORT"
    advice = f"choose another port with {flag} (with make: make run FLAGS={flag})"
    expected = f"bybit-exporter: cannot listen on {address}: Address already in use; {advice}\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)


def test_make_run_passes_flags_to_the_exporter() -> None:
    recipe = subprocess.run(
        ["make", "--dry-run", "run", "FLAGS=--web.listen-address=:1"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    assert recipe.count("exporter.py --web.listen-address=:1;") == 1
    assert recipe.count("exporter.py --demo --web.listen-address=:1;") == 1


def test_several_listen_addresses_are_all_served(server: SandboxServer, tmp_path: Path) -> None:
    flags = ["--web.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.2:0"]
    with ExporterProcess(config_for(server.exchange, server.base_url), tmp_path, flags) as exporter:
        eventually(lambda: len(list(exporter.events("listening"))) == 2, 10)
        urls = [event["url"] for event in exporter.events("listening")]
        assert [url.rpartition(":")[0] for url in urls] == ["http://127.0.0.1", "http://127.0.0.2"]
        for url in urls:
            assert requests.get(f"{url}-/healthy", timeout=10).status_code == 200
        assert_ends(exporter, signal.SIGTERM)


def test_no_configuration_file_says_what_to_do(tmp_path: Path) -> None:
    done = run_exporter(cwd=tmp_path)
    problem, advice = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert problem == "config.yaml: cannot be read: No such file or directory"
    assert all(word in advice for word in ("config.example.yaml", "--config.file", "--demo"))


def test_configuration_file_with_too_long_a_name_is_one_problem(tmp_path: Path) -> None:
    name = "x" * 300
    done = run_exporter(f"--config.file={name}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{name}: cannot be read: File name too long\n")
    assert "Traceback" not in done.stderr


def test_an_address_that_nobody_here_has(server: SandboxServer, tmp_path: Path) -> None:
    configure(server, tmp_path)
    done = run_exporter("--web.listen-address=192.0.2.1:0", cwd=tmp_path)
    expected = "bybit-exporter: cannot listen on 192.0.2.1:0: Cannot assign requested address\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)


# --demo


def test_demo_says_first_and_loudly_that_its_figures_are_invented(tmp_path: Path) -> None:
    with ExporterProcess("", tmp_path, ["--demo"]) as exporter:
        exporter.config_file.unlink()
        eventually(lambda: exporter.get("/-/ready").status_code == 200, 10)
        assert exporter.log[0]["level"] == "warn"
        assert "invented" in exporter.log[0]["msg"]
        ups = {dict(labels)["account"]: dict(labels) for name, labels in exporter.samples() if name == "bybit_up"}
        assert len(ups) == 10
        assert {labels["account_type"] for labels in ups.values()} == {"SPOT", "UNIFIED", "FUND"}
        assert "invented" in exporter.get("/").text
        assert_ends(exporter, signal.SIGTERM)


def test_once_nothing_expires_while_the_last_account_is_waited_for(server: SandboxServer, tmp_path: Path) -> None:
    """The figures of the first are older than ``stale_after`` when the second has used up its time."""
    slow = server.exchange.add_account("slow", {"BTC": Holding("2")})
    slow.fault = faults.Hang()
    top = "poll_interval: 1s\nstale_after: 1s"
    config = config_for(server.exchange, server.base_url, top).replace("api:\n", "api:\n  timeout: 1s\n")
    write_private(tmp_path / "config.yaml", config)
    done = run_exporter("--once", cwd=tmp_path)
    assert done.returncode == 1
    samples = {
        dict(labels)["account"]: value for (name, labels), value in parse(done.stdout).items() if name == "bybit_up"
    }
    assert samples == {"main": 1, "slow": 0}


@pytest.mark.parametrize(
    ("variable", "flags", "addresses"),
    [
        ("", [], ("127.0.0.1:9836",)),
        (":9836", [], (":9836",)),
        (":9836", ["--web.listen-address=127.0.0.1:1"], ("127.0.0.1:1",)),
    ],
)
def test_listen_address_of_the_environment_counts_without_the_flag(
    variable: str, flags: list[str], addresses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image sets it. A container that is told to listen on loopback must not listen elsewhere, too."""
    monkeypatch.setenv("BYBIT_EXPORTER_LISTEN_ADDRESS", variable)
    assert parse_flags(flags).listen_addresses == addresses


def test_listen_address_of_the_environment_that_is_wrong_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BYBIT_EXPORTER_LISTEN_ADDRESS", "9836")
    with pytest.raises(SystemExit):
        parse_flags([])
    assert "the environment variable BYBIT_EXPORTER_LISTEN_ADDRESS" in capsys.readouterr().err
