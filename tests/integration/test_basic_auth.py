"""The password as clients meet it, and what stands on answers whoever asks."""

from __future__ import annotations

import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from bybit_exporter.sandbox import Exchange, Holding, SandboxServer
from tests.certificates import FIXTURES
from tests.exporter_process import ExporterProcess, config_for
from tests.support import eventually, require_real

USERS = (FIXTURES / "users.good.yml").read_text()
ALICE = ("alice", "wonderland")
SLOW = "basic_auth_users:\n  slow: $2y$12$JyUSPMwuYwDLBWwv/8obCub.S9iDLcD9qENrxzJRjdcS5kOwT8D5e\n"
"""The password is "patience"; a check takes about a quarter of a second."""

pytestmark = pytest.mark.usefixtures("private_files")


@contextmanager
def running(directory: Path, users: str) -> Iterator[ExporterProcess]:
    exchange = Exchange()
    exchange.add_account("main", {"BTC": Holding("1.5")})
    web = directory / "web.yml"
    web.touch(0o600)
    web.write_text(users)
    flags = [f"--web.config.file={web}", "--web.enable-lifecycle"]
    with (
        SandboxServer(exchange) as server,
        ExporterProcess(config_for(exchange, server.base_url), directory, flags=flags) as exporter,
    ):
        yield exporter


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExporterProcess]:
    """One exporter for all tests that change nothing in it."""
    with running(tmp_path_factory.mktemp("shared"), USERS) as exporter:
        yield exporter


@pytest.fixture
def users() -> str:
    return USERS


@pytest.fixture
def exporter(tmp_path: Path, users: str) -> Iterator[ExporterProcess]:
    with running(tmp_path, users) as exporter:
        yield exporter


def test_curl_gets_in_with_the_right_password_only(shared: ExporterProcess) -> None:
    require_real(shutil.which("curl") is not None, "curl (Debian)")

    def ask(*arguments: str) -> str:
        command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *arguments, shared.base_url + "/metrics"]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout

    assert ask("-u", "alice:wonderland") == "200"
    assert ask("-u", "alice:wonderlan") == "401"
    assert ask("-u", "nobody:wonderland") == "401"
    assert ask("-u", "bob:wonderland") == "401"
    assert ask("-H", "Authorization: Basic ?") == "401"
    assert ask("-H", "Authorization: Bearer x") == "401"
    assert ask() == "401"


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/reload", "/nothing", "/-/healthy/", "/%2d/healthy/x", "//"])
def test_every_path_is_behind_it_and_no_answer_differs(shared: ExporterProcess, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "OPTIONS", "PUT"):
        response = requests.request(method, shared.base_url + path, timeout=10)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Basic ")
        assert response.text in ("Unauthorized\n", "" if method == "HEAD" else "Unauthorized\n")
        assert set(response.headers) == {
            "cache-control",
            "content-length",
            "content-security-policy",
            "content-type",
            "date",
            "www-authenticate",
            "x-content-type-options",
        }


def test_probes_need_no_password(shared: ExporterProcess) -> None:
    for path in ("/-/healthy", "/-/ready"):
        eventually(lambda path=path: shared.get(path).status_code == 200, 20)  # type: ignore[misc]
        assert requests.head(shared.base_url + path, timeout=10).status_code == 200
        assert requests.post(shared.base_url + path, timeout=10).status_code == 401


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready", "/nothing"])
@pytest.mark.parametrize("auth", [ALICE, None])
def test_headers_of_every_answer(shared: ExporterProcess, path: str, auth: tuple[str, str] | None) -> None:
    for method in ("GET", "HEAD", "DELETE"):
        headers = requests.request(method, shared.base_url + path, auth=auth, timeout=10).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Security-Policy"]
        assert "Server" not in headers


def test_changed_users_are_taken_up_and_none_is_remembered(exporter: ExporterProcess, tmp_path: Path) -> None:
    def status(user: str, password: str) -> int:
        return exporter.get("/metrics", auth=(user, password)).status_code

    assert status(*ALICE) == 200
    assert status("bob", "builder") == 200
    (tmp_path / "web.yml").write_text("\n".join(line for line in USERS.splitlines() if "alice" not in line))
    eventually(lambda: status(*ALICE) == 401, 20)
    assert status("bob", "builder") == 200
    (tmp_path / "web.yml").write_text("basic_auth_users: {bob: broken}")
    eventually(lambda: [event for event in exporter.log if "not reloaded" in event["msg"]], 20)
    assert status("bob", "builder") == 200
    assert exporter.get("/metrics").status_code == 401


def test_reload_is_behind_it_too(shared: ExporterProcess) -> None:
    assert requests.post(shared.base_url + "/-/reload", timeout=10).status_code == 401
    assert requests.post(shared.base_url + "/-/reload", auth=ALICE, timeout=10).status_code == 200


@pytest.mark.alone
@pytest.mark.parametrize("users", [SLOW])
def test_a_scrape_does_not_pay_for_bcrypt_nor_wait_for_those_who_guess(exporter: ExporterProcess) -> None:
    def scrape_seconds(password: str = "patience") -> float:
        start = time.monotonic()
        response = exporter.get("/metrics", auth=("slow", password))
        assert response.status_code == (200 if password == "patience" else 401), response.text
        return time.monotonic() - start

    first, wrong = scrape_seconds(), scrape_seconds("impatience")
    assert statistics.median(scrape_seconds() for _ in range(9)) < min(first, wrong) / 2
    with ThreadPoolExecutor(20) as attackers:
        guesses = [
            attackers.submit(lambda n=n: exporter.get("/metrics", auth=("slow", f"guess{n}")).status_code)  # type: ignore[misc]
            for n in range(40)
        ]
        during = statistics.median(scrape_seconds() for _ in range(9))
        assert during < min(first, wrong) / 2
        assert {guess.result() for guess in guesses} <= {401, 429}


def test_a_foreign_host_name_on_loopback(shared: ExporterProcess) -> None:
    """With a password any name may be used: a web page would have to know it."""
    response = shared.get("/metrics", auth=ALICE, headers={"Host": "shared.example"})
    assert response.status_code == 200


@pytest.mark.parametrize("users", ["http_server_config: {headers: {X-Frame-Options: deny}}\n"])
def test_a_page_that_rebinds_its_name_reads_nothing(exporter: ExporterProcess) -> None:
    eventually(lambda: "bybit_asset_free" in exporter.get("/metrics").text, 20)
    response = exporter.get("/metrics", headers={"Host": "evil.example:9836"})
    assert response.status_code == 421
    assert "bybit" not in response.text
    assert response.headers["X-Frame-Options"] == "deny"
    for host in ("localhost", "127.0.0.1:1", socket.gethostname()):
        assert exporter.get("/metrics", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("users", ["rate_limit: {interval: 1h, burst: 3}\n"])
def test_rate_limit(exporter: ExporterProcess) -> None:
    assert [exporter.get("/metrics").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    assert exporter.get("/-/healthy").status_code == 200


def test_a_secret_file_that_everybody_can_read_is_named(tmp_path: Path) -> None:
    exchange = Exchange()
    held = exchange.add_account("main", {"BTC": Holding("1.5")})
    secret = tmp_path / "secret"
    secret.write_text(held.api_secret)
    secret.chmod(0o644)
    with SandboxServer(exchange) as server:
        config = config_for(exchange, server.base_url).replace(
            f'api_secret: "{held.api_secret}"', "api_secret_file: secret"
        )
        with ExporterProcess(config, tmp_path) as exporter:
            warnings = [event["msg"] for event in exporter.log if event["level"] == "warn"]
    assert [warning for warning in warnings if warning.startswith(f"{secret} holds a secret")]
    assert held.api_secret not in exporter.raw_log
