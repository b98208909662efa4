"""A canary for a key and one for a secret: they appear nowhere but in the requests to the exchange."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from bybit_exporter.sandbox import UNLIMITED, Account, Exchange, Holding, Refusal, SandboxServer, faults
from bybit_exporter.sandbox.messages import Fault
from tests.exporter_process import ROOT, ExporterProcess, config_for, run_exporter, write_private
from tests.support import eventually

KEY, SECRET = "CANARYKEYxWq81", "CANARYSECRETpLm52vT0"
PATHS = ["/metrics", "/", "/-/healthy", "/-/ready", "/-/reload", "/nowhere"]


@pytest.fixture
def main() -> Account:
    return Exchange().add_account("main", {"ETH": Holding("1")}, api_key=KEY, api_secret=SECRET)


@pytest.fixture
def server(main: Account) -> Iterator[SandboxServer]:
    with SandboxServer(main.exchange) as server:
        yield server


def assert_silent(*texts: str) -> None:
    """Neither canary is in any of the texts: not whole, not a large part of it, not encoded."""
    for canary in (KEY, SECRET):
        forms = [canary, canary[:10], canary[-8:], canary[::-1], quote(canary), canary.encode().hex()]
        forms += [base64.b64encode(canary.encode()).decode().rstrip("=")]
        for text in texts:
            assert not [form for form in forms if form.lower() in text.lower()]


def everything_that_is_served(exporter: ExporterProcess) -> list[str]:
    texts = []
    for path in PATHS:
        for method in ("GET", "POST"):
            response = exporter.request(method, path)
            texts.append(f"{response.status_code} {response.headers} {response.text}")
    return texts


def echoes(key: str) -> list[Fault]:
    """Ways in which an exchange, or what stands before it, may repeat what it was sent."""
    return [
        faults.RetCode(10003, f"key[{key}] is invalid"),
        faults.RetCode(10004, f"error sign! origin_string[1658384314791{key}5000accountType=SPOT]"),
        faults.RetCode(10004, f"{'x' * 90}{key}"),
        faults.RetCode(99999, f"{key} {key}"),
        faults.Status(401, f"apiKey[{key}]".encode()),
        faults.Status(403, f"forbidden: {key}".encode()),
        faults.Status(500, f"X-BAPI-API-KEY: {key}".encode()),
        faults.Status(302, b"", {"Location": f"http://127.0.0.1:1/?{key}"}),
        faults.Body(f"<html>{key}".encode()),
        faults.Body(f'{{"retCode": "{key}"}}'.encode()),
        faults.Body(f'{{"retCode": 0, "result": {{"spot": "{key}"}}}}'.encode()),
        faults.Mutate(lambda answer: answer["result"]["spot"]["assets"][0].update(free=key)),
        faults.Mutate(lambda answer: answer["result"]["spot"]["assets"][0].update(frozen=f"{'x' * 95}{key}")),
        faults.Reset(),
        faults.Cut(),
    ]


def test_what_the_exchange_repeats_of_a_request_is_not_repeated(tmp_path: Path) -> None:
    exchange = Exchange()
    for index in range(len(echoes(""))):
        key = f"{KEY}{index:02}"
        account = exchange.add_account(f"a{index}", {"ETH": Holding("1")}, api_key=key, api_secret=SECRET)
        account.fault = echoes(key)[index]
    with SandboxServer(exchange) as server:
        write_private(tmp_path / "config.yaml", config_for(exchange, server.base_url))
        done = run_exporter("--once", "--log.level=debug", cwd=tmp_path)
    assert done.returncode == 1
    failures = [line for line in done.stderr.splitlines() if "the account cannot be read" in line]
    refusals = [line for line in done.stderr.splitlines() if "the exchange refuses the key" in line]
    assert len(failures) + len(refusals) == len(exchange.accounts)
    assert "origin_string[1658384314791" in done.stderr  # the rest of it is told
    assert_silent(done.stdout, done.stderr)


def test_nothing_that_is_logged_or_served_tells_them(server: SandboxServer, main: Account, tmp_path: Path) -> None:
    flags = ["--log.level=debug", "--web.enable-lifecycle"]
    with ExporterProcess(config_for(main.exchange, server.base_url), tmp_path, flags) as exporter:
        exporter.wait_for(1, "bybit_up")
        assert_silent(*everything_that_is_served(exporter))
        main.refusal = Refusal(10004, f"error sign! origin_string[1658384314791{KEY}5000accountType=SPOT]")
        exporter.wait_for(0, "bybit_up")
        served = everything_that_is_served(exporter)
        assert "origin_string" in "".join(served)  # the page does quote the refusal
        exporter.config_file.write_text(
            f"accounts: [{{name: main, api_key: {KEY} x, api_secret: [{SECRET}], x: {KEY}}}]"
        )
        served += everything_that_is_served(exporter)
        process = Path(f"/proc/{exporter.process.pid}")
        command_line = (process / "cmdline").read_text()
    assert any(event["msg"] == "the exchange refuses the key" for event in exporter.log)
    assert any("not reloaded" in event["msg"] for event in exporter.log)
    assert any(event.get("level") == "debug" for event in exporter.log)
    assert_silent(exporter.raw_log, command_line, *served)


def test_the_traceback_of_a_fault_of_ours_does_not_tell_them(
    server: SandboxServer, main: Account, tmp_path: Path
) -> None:
    """An exception whose text is everything that the failing function has at hand."""
    broken = textwrap.dedent("""
        import sys
        from bybit_exporter.cli import main
        from bybit_exporter.polling.jobs import wallet

        def read_wallet(client, account, account_type):
            headers = client._signature("accountType=SPOT", account).keys()
            raise KeyError(repr(account), str(account.api_secret), repr(vars(client)), f"{account.api_key}", headers)

        wallet.read_wallet = read_wallet
        sys.exit(main())
    """)
    program = tmp_path / "broken.py"
    program.write_text(broken)
    config, flags = config_for(main.exchange, server.base_url), ["--log.level=debug"]
    with ExporterProcess(config, tmp_path, flags, {"PYTHONPATH": str(ROOT)}, program) as exporter:
        exporter.wait_for(0, "bybit_up")
        eventually(lambda: (exporter.value("bybit_poll_failures_total", reason="internal") or 0) >= 1, 20)
        served = everything_that_is_served(exporter)
    assert "Traceback" in exporter.raw_log
    assert "Secret(***)" in exporter.raw_log
    assert_silent(exporter.raw_log, *served)


def test_wrong_secret_of_two_accounts_is_one_error_line_that_names_both(tmp_path: Path) -> None:
    """Polls, the check of the key and the withdrawals are all refused."""
    exchange = Exchange(limits=UNLIMITED)
    account = exchange.add_account("main", {"ETH": Holding("1")}, api_key=KEY, api_secret=SECRET)
    key = f'api_key: "{KEY}", api_secret: "another-secret"'
    accounts = f"[{{name: main, account_type: SPOT, {key}}}, {{name: vault, account_type: FUND, {key}}}]"
    with SandboxServer(exchange) as server:
        config = f"poll_interval: 1s\napi: {{base_url: '{server.base_url}'}}\naccounts: {accounts}\n"
        with ExporterProcess(config, tmp_path) as exporter:
            for up in ("bybit_api_key_up", "bybit_up"):
                for name in ("main", "vault"):
                    exporter.wait_for(0.0, up, account=name)
            exporter.wait_for(0.0, "bybit_withdrawals_up", account="vault")
            (error,) = [event for event in exporter.log if event["level"] in ("warn", "error")]
    assert account.request_count >= 5
    assert (error["level"], error["msg"], error["accounts"]) == ("error", "the exchange refuses the key", "main, vault")


def test_secrets_from_the_environment_and_from_files_are_as_silent(
    server: SandboxServer, main: Account, tmp_path: Path
) -> None:
    write_private(tmp_path / "secret", SECRET + "\n")
    account = "name: main, account_type: SPOT, api_key_env: MY_KEY, api_secret_file: secret"
    write_private(tmp_path / "config.yaml", f"api: {{base_url: '{server.base_url}'}}\naccounts: [{{{account}}}]")
    done = run_exporter("--once", "--log.level=debug", cwd=tmp_path, environ={"MY_KEY": KEY})
    assert done.returncode == 0
    assert main.requests[0].request.headers["x-bapi-api-key"] == KEY
    assert_silent(done.stdout, done.stderr)


def test_the_canaries_would_be_found() -> None:
    for text in (f"a {KEY} b", SECRET, f"x{SECRET[:10]}", base64.b64encode(KEY.encode()).decode()):
        with pytest.raises(AssertionError):
            assert_silent(text)
