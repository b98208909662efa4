"""TLS as clients meet it: curl, openssl, a real Prometheus, and certificates that change under load."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from bybit_exporter.sandbox import Exchange, Holding, SandboxServer
from bybit_exporter.web.server import web_config
from tests.certificates import CA, FIXTURES, client_context
from tests.exporter_process import ExporterProcess, config_for, run_exporter
from tests.real_prometheus import Prometheus
from tests.support import eventually, require_real

USERS = (FIXTURES / "users.good.yml").read_text()
TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
CLIENTS = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"
SANS = "  client_allowed_sans: [prometheus.example]\n"

Start = Callable[[str], ExporterProcess]

pytestmark = pytest.mark.usefixtures("private_files")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an exporter with a web configuration, which stands in ``web.yml`` with its files."""
    exchange = Exchange()
    exchange.add_account("main", {"BTC": Holding("1.5")})
    with ExitStack() as cleanup:
        server = cleanup.enter_context(SandboxServer(exchange))

        def run(web: str) -> ExporterProcess:
            for name in ("server.crt", "server.key", "ca.crt"):
                replace(tmp_path / name, name)
            (tmp_path / "web.yml").write_text(web)
            flags = [f"--web.config.file={tmp_path}/web.yml"]
            return cleanup.enter_context(ExporterProcess(config_for(exchange, server.base_url), tmp_path, flags=flags))

        yield run


def replace(path: Path, by: str) -> None:
    new = path.with_suffix(".new")
    shutil.copy(FIXTURES / by, new)
    new.chmod(0o600)
    new.replace(path)


def curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    require_real(shutil.which("curl") is not None, "curl (Debian)")
    return subprocess.run(["curl", "-sS", "--max-time", "20", *arguments], capture_output=True, text=True, timeout=30)


def status(exporter: ExporterProcess, certificate: str = "") -> int:
    """What a client gets that trusts our authority, and shows a certificate."""
    pair = (str(FIXTURES / f"{certificate}.crt"), str(FIXTURES / f"{certificate}.key")) if certificate else None
    return requests.get(exporter.base_url + "/metrics", verify=str(CA), cert=pair, timeout=20).status_code


def refused(exporter: ExporterProcess, certificate: str = "") -> bool:
    try:
        status(exporter, certificate)
    except requests.ConnectionError:  # of which its SSLError is one
        return True
    return False


def test_curl_gets_in_with_the_right_authority_only(start: Start) -> None:
    url = start(TLS).base_url + "/metrics"
    assert url.startswith("https://")
    assert "bybit_exporter_build_info" in curl("--cacert", str(CA), url).stdout
    other = curl("--cacert", str(FIXTURES / "foreign_ca.crt"), url)
    assert other.returncode != 0
    assert other.stdout == ""


def test_plain_http_gets_nothing(start: Start) -> None:
    exporter = start(TLS)
    answer = curl(exporter.base_url.replace("https:", "http:") + "/-/healthy")
    assert answer.returncode != 0
    assert answer.stdout == ""


@pytest.mark.parametrize(("version", "accepted"), [("1.1", False), ("1.2", True), ("1.3", True)])
def test_tls_versions(start: Start, version: str, accepted: bool) -> None:
    require_real(shutil.which("openssl") is not None, "openssl (Debian)")
    address = urlsplit(start(TLS).base_url).netloc
    option = f"-tls{version.replace('.', '_')}"
    command = ["openssl", "s_client", "-connect", address, "-cipher", "DEFAULT@SECLEVEL=0", option, "-CAfile", str(CA)]
    output = subprocess.run(command, input="", capture_output=True, text=True, timeout=30, check=False).stdout
    assert ("Verify return code: 0 (ok)" in output and "Cipher is (NONE)" not in output) == accepted


@pytest.mark.parametrize(
    ("web", "let_in"),
    [
        (TLS, {"", "client", "foreign_client"}),
        (TLS + CLIENTS, {"client"}),
        (TLS + CLIENTS + SANS, {"client"}),
        (TLS + CLIENTS + SANS.replace("prometheus", "somebody"), set()),
        (TLS + CLIENTS.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"), {"", "client"}),
    ],
    ids=["none asked", "verified", "allowed name", "other name", "if given"],
)
def test_client_certificates(start: Start, web: str, let_in: set[str]) -> None:
    exporter = start(web)
    for certificate in ("", "client", "foreign_client"):
        if certificate in let_in:
            assert status(exporter, certificate) == 200
        else:
            assert refused(exporter, certificate)


class Scraper(threading.Thread):
    """Scrapes without a pause; each time over a new connection, or always over the same."""

    def __init__(self, exporter: ExporterProcess, keep_alive: bool) -> None:
        super().__init__(daemon=True)
        self.exporter, self.keep_alive = exporter, keep_alive
        self.statuses: list[int] = []
        self.failure: Exception | None = None
        self.enough = threading.Event()

    def run(self) -> None:
        session = requests.Session()
        session.headers["Connection"] = "keep-alive" if self.keep_alive else "close"
        while not self.enough.wait(0.005):
            try:
                response = session.get(self.exporter.base_url + "/metrics", verify=str(CA), timeout=20)
                self.statuses.append(response.status_code)
            except requests.RequestException as error:
                self.failure = error
                return


def shown_certificate(exporter: ExporterProcess) -> str:
    host, port = urlsplit(exporter.base_url).netloc.split(":")
    connection = http.client.HTTPSConnection(host, int(port), context=client_context(), timeout=20)
    connection.connect()
    certificate = connection.sock.getpeercert()
    connection.close()
    return str(certificate)


def test_certificates_change_under_load_and_no_scrape_fails(start: Start, tmp_path: Path) -> None:
    exporter = start(TLS)
    scrapers = [Scraper(exporter, keep_alive) for keep_alive in (False, True, False)]
    for scraper in scrapers:
        scraper.start()
    for name in ("renewed", "server", "renewed"):
        before = shown_certificate(exporter)
        replace(tmp_path / "server.crt", f"{name}.crt")
        replace(tmp_path / "server.key", f"{name}.key")
        eventually(lambda before=before: shown_certificate(exporter) != before, 20)  # type: ignore[misc]
    for scraper in scrapers:
        scraper.enough.set()
        scraper.join(20)
        assert scraper.failure is None
        assert len(scraper.statuses) > 20
        assert set(scraper.statuses) == {200}
    eventually(lambda: len(list(exporter.events("web configuration reloaded"))) == 3, 20)  # the log is read by a thread


def test_a_half_changed_pair_keeps_the_old_certificate_and_is_logged_once(start: Start, tmp_path: Path) -> None:
    exporter = start(TLS)
    before = shown_certificate(exporter)
    replace(tmp_path / "server.crt", "renewed.crt")
    problem = "the web configuration was not reloaded; the old one is still in use"
    eventually(lambda: list(exporter.events(problem)), 20)
    assert shown_certificate(exporter) == before
    replace(tmp_path / "server.key", "renewed.key")
    eventually(lambda: shown_certificate(exporter) != before, 20)
    assert len(list(exporter.events(problem))) == 1


def test_who_is_no_longer_trusted_gets_nothing_more_over_a_connection_it_has(start: Start, tmp_path: Path) -> None:
    exporter = start(TLS + CLIENTS)
    host, port = urlsplit(exporter.base_url).netloc.split(":")
    connection = http.client.HTTPSConnection(host, int(port), context=client_context("client"), timeout=20)
    connection.request("GET", "/metrics")
    assert connection.getresponse().read()
    replace(tmp_path / "ca.crt", "foreign_ca.crt")
    eventually(lambda: list(exporter.events("web configuration reloaded")), 20)
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        connection.request("GET", "/metrics")
    with pytest.raises((ConnectionError, http.client.HTTPException, ssl.SSLError)):
        connection.getresponse()
    connection.close()
    assert refused(exporter, "client")
    assert status(exporter, "foreign_client") == 200


def test_check_config_checks_both_files_and_says_all(tmp_path: Path) -> None:
    config, web = tmp_path / "config.yaml", tmp_path / "web.yml"
    secrets = "    api_key: k\n    api_secret: s\n"
    config.write_text("accounts:\n  - name: main\n    account_type: SPOT\n" + secrets)
    web.write_text(TLS)
    flags = [f"--config.file={config}", f"--web.config.file={web}", "--check-config"]
    for name in ("server.crt", "server.key"):
        replace(tmp_path / name, name)
    result = run_exporter(*flags, cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "ok\n", "")

    replace(tmp_path / "server.key", "renewed.key")
    config.write_text(config.read_text().replace("SPOT", "FUTURE"))
    result = run_exporter(*flags, cwd=tmp_path)
    assert result.returncode == 2
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{config}: accounts[0].account_type: ")
    assert second == f"{web}: tls_server_config.key_file: does not belong to the certificate"

    config.write_text(config.read_text().replace("FUTURE", "SPOT"))
    replace(tmp_path / "server.crt", "expired.crt")
    replace(tmp_path / "server.key", "expired.key")
    result = run_exporter(*flags, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith(f"{web}: tls_server_config: the certificate expired on 20")


def test_a_broken_web_configuration_starts_nothing(tmp_path: Path) -> None:
    result = run_exporter("--demo", f"--web.config.file={FIXTURES}/key_of_another.bad.yml", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].endswith("does not belong to the certificate")
    assert "Traceback" not in result.stderr


def test_a_real_prometheus_with_certificate_and_password(start: Start, tmp_path: Path) -> None:
    exporter = start(TLS + CLIENTS + USERS)
    trusted = {"ca_file": str(CA)}
    shown = trusted | {"cert_file": str(FIXTURES / "client.crt"), "key_file": str(FIXTURES / "client.key")}
    foreign = trusted | {
        "cert_file": str(FIXTURES / "foreign_client.crt"),
        "key_file": str(FIXTURES / "foreign_client.key"),
    }
    alice = {"username": "alice", "password": "wonderland"}
    jobs = {
        "right": {"tls_config": shown, "basic_auth": alice},
        "wrong password": {"tls_config": shown, "basic_auth": alice | {"password": "wonderlan"}},
        "no password": {"tls_config": shown},
        "no certificate": {"tls_config": trusted, "basic_auth": alice},
        "foreign certificate": {"tls_config": foreign, "basic_auth": alice},
        "untrusted server": {"basic_auth": alice},
    }
    target = {"scheme": "https", "static_configs": [{"targets": [urlsplit(exporter.base_url).netloc]}]}
    scrapes = [{"job_name": name, **target, **job} for name, job in jobs.items()]
    with Prometheus(
        json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": scrapes}), tmp_path
    ) as prometheus:
        eventually(
            lambda: len(prometheus.targets()) == len(jobs) and "unknown" not in prometheus.targets().values(), 30
        )
        assert prometheus.targets() == {name: "up" if name == "right" else "down" for name in jobs}
        replace(tmp_path / "server.crt", "renewed.crt")
        replace(tmp_path / "server.key", "renewed.key")
        eventually(lambda: list(exporter.events("web configuration reloaded")), 20)
        assert prometheus.query("min_over_time(up{job='right'}[1m])") == 1.0


def test_the_files_that_are_used_are_good() -> None:
    assert web_config.load(FIXTURES / "tls.good.yml").expiry_problems == []
