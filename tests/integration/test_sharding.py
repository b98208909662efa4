"""Several processes share the accounts of one configuration: each account is asked by exactly one of them."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bybit_exporter.cli.flags import parse_flags
from bybit_exporter.sandbox import UNLIMITED, Exchange, Holding, SandboxServer
from bybit_exporter.sharding import Shard, shard_of
from tests.exporter_process import ExporterProcess, config_for, parse, run_exporter, write_private
from tests.support import eventually

pytestmark = pytest.mark.usefixtures("private_files")

NAMES = [f"account-{number}" for number in range(8)]
SHARES = {shard: [name for name in NAMES if shard_of(name, 3) == shard] for shard in range(3)}


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    exchange = Exchange(limits=UNLIMITED)
    for name in NAMES:
        exchange.add_account(name, {"BTC": Holding("1")})
    with SandboxServer(exchange) as server:
        yield server


@pytest.fixture
def directory(server: SandboxServer, tmp_path: Path) -> Path:
    write_private(tmp_path / "config.yaml", config_for(server.exchange, server.base_url))
    return tmp_path


def accounts(exposition: str) -> list[str]:
    """The accounts in an exposition, in its order."""
    return [dict(labels)["account"] for name, labels in parse(exposition) if name == "bybit_up"]


def polled(server: SandboxServer) -> list[str]:
    """Whose wallets the exchange was asked for, once for each time."""
    wallets = (each for each in server.exchange.requests if each.request.path.endswith("/query-asset-info"))
    return sorted(each.account or "" for each in wallets)


def asked_for(server: SandboxServer) -> set[str]:
    """Whose wallets or keys the exchange was asked for."""
    return {each.account for each in server.exchange.requests if each.account is not None}


def test_the_shares_of_the_tests_are_three() -> None:
    assert all(len(share) >= 2 for share in SHARES.values())


def test_each_asks_for_its_own_and_together_for_all(server: SandboxServer, directory: Path) -> None:
    for shard, share in SHARES.items():
        done = run_exporter(f"--shard={shard}", "--total-shards=3", "--once", cwd=directory)
        assert done.returncode == 0
        assert accounts(done.stdout) == share
        info = ("bybit_exporter_shard_info", frozenset({("shard", str(shard)), ("total_shards", "3")}))
        assert parse(done.stdout)[info] == 1
    assert polled(server) == NAMES


def test_the_log_begins_with_the_share(directory: Path) -> None:
    done = run_exporter("--shard=1", "--total-shards=3", "--once", cwd=directory)
    told = f"shard=1 total_shards=3 accounts={len(SHARES[1])} configured=8"
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("pod_name", "shard"), [("bybit-exporter-2", 2), ("web-0.bybit-exporter.money.svc.cluster.local", 0)]
)
def test_auto_reads_the_shard_off_the_pods_name(pod_name: str, shard: int, directory: Path) -> None:
    flags = ("--shard=auto", "--total-shards=3", "--once")
    done = run_exporter(*flags, cwd=directory, environ={"POD_NAME": pod_name})
    assert (done.returncode, accounts(done.stdout)) == (0, SHARES[shard])


@pytest.mark.parametrize(
    ("pod_name", "complaint"),
    [
        ("bybit-exporter", 'the pod\'s name "bybit-exporter" does not end in a number, as in bybit-exporter-0'),
        (
            "bybit-exporter-3",
            '3 at the end of "bybit-exporter-3" is not below --total-shards, which is 3; shards are counted from 0',
        ),
    ],
)
def test_auto_without_a_shard_to_be_is_a_wrong_command_line(pod_name: str, complaint: str, tmp_path: Path) -> None:
    done = run_exporter("--shard=auto", "--total-shards=3", cwd=tmp_path, environ={"POD_NAME": pod_name})
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"bybit-exporter: argument --shard: {complaint}\n")


def test_auto_without_the_variable_asks_for_the_host_s_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POD_NAME", "")
    monkeypatch.setattr(socket, "gethostname", lambda: "bybit-exporter-2")
    assert parse_flags(["--shard=auto", "--total-shards=3"]).shard == Shard(2, 3)
    monkeypatch.setattr(socket, "gethostname", lambda: "laptop")
    with pytest.raises(SystemExit, match="2"):
        parse_flags(["--shard=auto", "--total-shards=3"])
    assert '"laptop" does not end in a number' in capsys.readouterr().err


@pytest.mark.parametrize("shard", SHARES)
def test_every_shard_finds_every_problem(shard: int, tmp_path: Path) -> None:
    text = "".join(f"- {{name: {name}, account_type: SPOT, api_key: k, api_secret_file: missing}}\n" for name in NAMES)
    write_private(tmp_path / "config.yaml", f"accounts:\n{text}")
    done = run_exporter(f"--shard={shard}", "--total-shards=3", "--check-config", cwd=tmp_path)
    problem = f'api_secret_file: the file "{tmp_path}/missing" cannot be read: No such file or directory'
    expected = [f"config.yaml: accounts[{index}].{problem}" for index in range(len(NAMES))]
    assert (done.returncode, done.stderr.splitlines()) == (2, expected)


def test_a_shard_without_an_account_runs_well(server: SandboxServer, directory: Path) -> None:
    empty = next(shard for shard in range(64) if shard not in {shard_of(name, 64) for name in NAMES})
    text = (directory / "config.yaml").read_text()
    with ExporterProcess(text, directory, [f"--shard={empty}", "--total-shards=64"]) as exporter:
        assert exporter.get("/-/ready").status_code == 200
        assert exporter.get("/-/healthy").status_code == 200
        assert exporter.value("bybit_exporter_shard_info", shard=str(empty), total_shards="64") == 1
        assert exporter.value("bybit_polls_total") is None
        page = exporter.get("/").text
        assert f"Shard {empty} of 64" in page
        assert "No account falls to this shard." in page
        (told,) = exporter.events("this process polls a part of the accounts")
        assert (told["accounts"], told["configured"]) == (0, 8)
        exporter.send(signal.SIGTERM)
        exporter.ends_with(0, within=8.0)
    assert asked_for(server) == set()


def test_a_reload_keeps_the_shard_and_takes_up_its_new_accounts(server: SandboxServer, directory: Path) -> None:
    text = (directory / "config.yaml").read_text()
    with ExporterProcess(text, directory, ["--shard=1", "--total-shards=3"]) as exporter:
        eventually(lambda: exporter.get("/-/ready").status_code == 200, 10)
        for number in range(8, 20):
            server.exchange.add_account(f"account-{number}", {"BTC": Holding("1")})
        mine = [name for name in server.exchange.accounts if shard_of(name, 3) == 1]
        assert len(mine) > len(SHARES[1])
        write_private(exporter.config_file, config_for(server.exchange, server.base_url))
        exporter.send(signal.SIGHUP)
        eventually(lambda: accounts(exporter.exposition()) == mine, 10)
        assert asked_for(server) == set(mine)
        assert exporter.value("bybit_exporter_shard_info", shard="1", total_shards="3") == 1
        told = list(exporter.events("this process polls a part of the accounts"))
        assert [event["configured"] for event in told] == [8, 20]


def test_the_demo_is_shared_out_too(tmp_path: Path) -> None:
    flags = ["--demo", "--once", "--total-shards=2"]
    shares = [accounts(run_exporter(*flags, f"--shard={shard}", cwd=tmp_path).stdout) for shard in (0, 1)]
    whole = accounts(run_exporter("--demo", "--once", cwd=tmp_path).stdout)
    assert sorted(shares[0] + shares[1]) == sorted(whole)
    assert all(len(share) < len(whole) for share in shares)


def test_one_process_alone_says_nothing_of_shards(directory: Path) -> None:
    with ExporterProcess((directory / "config.yaml").read_text(), directory) as exporter:
        eventually(lambda: exporter.get("/-/ready").status_code == 200, 10)
        assert accounts(exporter.exposition()) == NAMES
        assert exporter.value("bybit_exporter_shard_info", shard="0", total_shards="1") == 1
        assert "Shard" not in exporter.get("/").text
        assert not list(exporter.events("this process polls a part of the accounts"))
