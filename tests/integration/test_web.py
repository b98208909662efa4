"""The endpoints over real HTTP: paths, methods, formats, compression, addresses."""

from __future__ import annotations

import gzip
import http.client
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from bybit_exporter.sandbox import Exchange, Holding, SandboxServer, faults
from tests.exporter_process import ExporterProcess, config_for, parse
from tests.support import eventually, require_real

NASTY = "<script>alert(\"x\")</script> \\ & 'y'"
PATHS = ["/metrics", "/", "/-/healthy", "/-/ready", "/-/documentation", "/-/documentation/security", "/-/runbooks"]

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    exchange = Exchange()
    exchange.add_account(NASTY, {"ETH": Holding("11.53485", "1", "2"), "<b>COIN</b>": Holding("1")})
    with SandboxServer(exchange) as server:
        yield server


@pytest.fixture(scope="module")
def exporter(server: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExporterProcess]:
    config = config_for(server.exchange, server.base_url, "poll_interval: 1h")
    with ExporterProcess(config, tmp_path_factory.mktemp("web")) as running:
        eventually(lambda: running.get("/-/ready").status_code == 200, 20)
        yield running


def ask(exporter: ExporterProcess, method: str, path: str, **headers: str) -> Answer:
    """One request with exactly these headers; nothing is decoded. Header names are in lower case."""
    url = urlsplit(exporter.base_url)
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=10)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


# The documents


def test_links_of_the_documentation_lead_to_pages_and_images(exporter: ExporterProcess) -> None:
    to_visit, seen = ["/-/documentation"], set()
    while to_visit:
        path = to_visit.pop()
        seen.add(path)
        status, headers, body = ask(exporter, "GET", path)
        assert status == 200, path
        if path.startswith("/-/") and headers["content-type"].startswith("text/html"):
            links = re.findall(r' (?:href|src)="(/[^"#]*)', body.decode())
            to_visit += sorted(set(links) - seen - set(to_visit))
    assert {"/", "/-/runbooks", "/-/documentation/security", "/-/documentation/images/status-page.png"} <= seen


@pytest.mark.parametrize("path", ["/-/documentation", "/-/runbooks"])
def test_documentation_has_security_headers_and_no_script(exporter: ExporterProcess, path: str) -> None:
    _, headers, body = ask(exporter, "GET", path)
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert b"<script" not in body


# Paths and methods


@pytest.mark.parametrize("path", PATHS)
def test_what_there_is(exporter: ExporterProcess, path: str) -> None:
    status, headers, body = ask(exporter, "GET", path)
    assert status == 200
    assert int(headers["content-length"]) == len(body) > 0
    assert headers["cache-control"] == "no-store"


def test_an_absolute_url_as_target(exporter: ExporterProcess) -> None:
    assert ask(exporter, "GET", f"{exporter.base_url}/metrics")[0] == 200
    assert ask(exporter, "GET", exporter.base_url)[0] == 200
    assert ask(exporter, "GET", f"{exporter.base_url}/metric")[0] == 404
    assert ask(exporter, "GET", "http://evil.example/metrics")[0] == 421
    assert ask(exporter, "GET", "http:///metrics")[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        *("/metrics/", "/metric", "/-/", "/-/healthy/", "/favicon.ico", "//", "/..", "/%2e%2e/etc"),
        *(
            "/-/documentation/",
            "/-/documentation/nothing",
            "/-/documentation/..%2fREADME",
            "/-/documentation/images/x.png",
        ),
        "/-/documentation/images/..%2f..%2fREADME.md",
    ],
)
def test_what_there_is_not(exporter: ExporterProcess, path: str) -> None:
    assert ask(exporter, "GET", path)[0] == 404


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods(exporter: ExporterProcess, method: str, path: str) -> None:
    status, headers, _ = ask(exporter, method, path)
    assert status == 405
    assert {word.strip() for word in headers["allow"].split(",")} == {"GET", "HEAD"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_reload_is_for_post_alone(exporter: ExporterProcess, method: str) -> None:
    status, headers, _ = ask(exporter, method, "/-/reload")
    assert (status, headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_head_is_get_without_the_body(exporter: ExporterProcess, path: str, encoding: str) -> None:
    varying = {"date", "content-length"}  # the process's own metrics and the page's ages change from one to the next
    got_status, got, body = ask(exporter, "GET", path, Accept_Encoding=encoding)
    status, headers, nothing = ask(exporter, "HEAD", path, Accept_Encoding=encoding)
    assert (status, nothing) == (got_status, b"")
    assert {k: v for k, v in headers.items() if k not in varying} == {k: v for k, v in got.items() if k not in varying}
    assert int(headers["content-length"]) == pytest.approx(len(body), rel=0.1)


def test_several_requests_on_one_connection(exporter: ExporterProcess) -> None:
    url = urlsplit(exporter.base_url)
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=10)
    for path, method in (("/metrics", "HEAD"), ("/nowhere", "GET"), ("/metrics", "GET"), ("/", "PUT"), ("/", "GET")):
        connection.request(method, path)
        connection.getresponse().read()
        assert connection.sock, "the connection was closed"
    connection.close()


@pytest.mark.parametrize("rubbish", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n\x00: x\r\n\r\n"])
def test_what_is_not_http_is_refused_and_disturbs_nobody(exporter: ExporterProcess, rubbish: bytes) -> None:
    url = urlsplit(exporter.base_url)
    with socket.create_connection((str(url.hostname), url.port or 0), timeout=10) as client:
        client.sendall(rubbish + b"\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400")
    assert ask(exporter, "GET", "/-/healthy")[0] == 200
    assert [event for event in exporter.log if event["level"] == "error"] == []


# Formats

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_3_TEXT_FIRST = (  # scrape_protocols: [PrometheusText0.0.4, OpenMetricsText1.0.0]
    "text/plain;version=0.0.4;q=0.3,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.2,*/*;q=0.1"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize("accept", [PROMETHEUS_2, PROMETHEUS_3, "application/openmetrics-text"])
def test_openmetrics_for_who_accepts_it(exporter: ExporterProcess, accept: str) -> None:
    status, headers, body = ask(exporter, "GET", "/metrics", Accept=accept)
    assert status == 200
    assert re.match(r"application/openmetrics-text; version=1\.0\.0; charset=utf-8", headers["content-type"])
    assert body.endswith(b"# EOF\n")
    parsed = parse_openmetrics(body.decode())  # type: ignore[no-untyped-call]
    families = {family.name: family for family in parsed}
    assert families["bybit_polls"].samples[0].name == "bybit_polls_total"
    assert families["bybit_polls"].samples[0].labels == {"account": NASTY, "account_type": "SPOT"}


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        "text/plain",
        "text/plain;version=0.0.4",
        "text/plain, application/openmetrics-text;q=0",
        PROMETHEUS_3_TEXT_FIRST,
        BROWSER,
        "",
        ";;,,=",
        "text/plain;version=x",
    ],
)
def test_the_text_format_for_everybody_else(exporter: ExporterProcess, accept: str | None) -> None:
    status, headers, body = ask(exporter, "GET", "/metrics", **({} if accept is None else {"Accept": accept}))
    assert status == 200
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# TYPE bybit_polls_total counter\n" in body
    assert b"# EOF" not in body
    assert parse(body.decode())


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text;version=x", "text/plain;version=1.0.0;escaping=x", "\xff"]
)
def test_a_strange_accept_header_is_no_fault_of_ours(exporter: ExporterProcess, accept: str) -> None:
    assert ask(exporter, "GET", "/metrics", Accept=accept)[0] == 200


def test_both_formats_are_told_apart_by_caches(exporter: ExporterProcess) -> None:
    vary = {word.strip().lower() for word in ask(exporter, "GET", "/metrics")[1]["vary"].split(",")}
    assert {"accept", "accept-encoding"} <= vary


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        (None, False),
        ("", False),
        ("identity", False),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, identity", False),
        ("*;q=0", False),
        ("notgzip", False),
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5", True),
        ("gzip ; q=0.001", True),
        ("gzip;q=1.0", True),
        ("*", True),
        ("br, *;q=0.1", True),
        ("gzip;q=0, *", False),
        ("*;q=0, gzip", True),
    ],
)
def test_gzip_for_who_accepts_it(exporter: ExporterProcess, accepted: str | None, compressed: bool) -> None:
    status, headers, body = ask(
        exporter, "GET", "/metrics", **({} if accepted is None else {"Accept_Encoding": accepted})
    )
    assert status == 200
    assert headers.get("content-encoding") == ("gzip" if compressed else None)
    text = gzip.decompress(body) if compressed else body
    assert b"bybit_asset_free{" in text
    assert int(headers["content-length"]) == len(body)


# Health, readiness, reload


def test_healthy_and_ready(tmp_path: Path) -> None:
    exchange = Exchange()
    hang = faults.Hang()
    exchange.add_account("quick", {"BTC": Holding("1")})
    exchange.add_account("slow", {"BTC": Holding("1")}).fault = hang
    with SandboxServer(exchange) as server, ExporterProcess(config_for(exchange, server.base_url), tmp_path) as running:
        running.wait_for(1, "bybit_up", account="quick")
        assert running.get("/-/healthy").status_code == 200
        assert running.get("/-/ready").status_code == 503
        assert ask(running, "HEAD", "/-/ready")[0] == 503
        hang.release()
        eventually(lambda: running.get("/-/ready").status_code == 200, 20)
        for account in exchange.accounts.values():  # being unable to read an account is not being unready
            account.fault = faults.Reset()
        running.wait_for(0, "bybit_up", account="quick")
        assert running.get("/-/ready").status_code == 200


def test_reload_is_forbidden_unless_enabled(exporter: ExporterProcess) -> None:
    status, _, body = ask(exporter, "POST", "/-/reload", Content_Length="0")
    assert status == 403
    assert b"--web.enable-lifecycle" in body


# Flags


def start(server: SandboxServer, directory: Path, *flags: str) -> ExporterProcess:
    return ExporterProcess(config_for(server.exchange, server.base_url), directory, flags)


def test_another_telemetry_path_and_lifecycle(server: SandboxServer, tmp_path: Path) -> None:
    with start(server, tmp_path, "--web.telemetry-path=/private/figures", "--web.enable-lifecycle") as running:
        assert "bybit_polls_total" in running.get("/private/figures").text
        assert running.get("/metrics").status_code == 404
        assert 'href="/private/figures"' in running.get("/").text
        assert ask(running, "POST", "/-/reload", Content_Length="0")[0] == 200


def test_a_web_page_cannot_make_a_browser_reload(server: SandboxServer, tmp_path: Path) -> None:
    with start(server, tmp_path, "--web.enable-lifecycle") as running:
        for foreign in ({"Origin": "http://elsewhere.example"}, {"Sec_Fetch_Site": "cross-site"}):
            assert ask(running, "POST", "/-/reload", Content_Length="0", **foreign)[0] == 403
        assert list(running.events("configuration reloaded")) == []


def test_metrics_in_the_place_of_the_status_page(server: SandboxServer, tmp_path: Path) -> None:
    with start(server, tmp_path, "--web.telemetry-path=/") as running:
        assert "bybit_polls_total" in running.get("/").text
        assert running.get("/-/healthy").status_code == 200


def test_ipv6_loopback(server: SandboxServer, tmp_path: Path) -> None:
    require_real(socket.has_dualstack_ipv6(), "IPv6")
    with start(server, tmp_path, "--web.listen-address=[::1]:0") as running:
        assert running.base_url.startswith("http://[::1]:")
        assert running.get("/-/healthy").status_code == 200
        assert not any("all balances" in event["msg"] for event in running.log)


def test_every_interface_with_a_warning(server: SandboxServer, tmp_path: Path) -> None:
    with start(server, tmp_path, "--web.listen-address=:0") as running:
        port = urlsplit(running.base_url).port
        for host in ["127.0.0.1", *(["::1"] if socket.has_dualstack_ipv6() else [])]:
            with socket.create_connection((host, port or 0), timeout=10):
                pass
        eventually(lambda: any("all balances" in e["msg"] for e in running.log if e["level"] == "warn"), 10)


def test_loopback_alone_is_the_default(exporter: ExporterProcess) -> None:
    assert urlsplit(exporter.base_url).hostname == "127.0.0.1"


# The status page


def test_the_status_page_shows_accounts_and_coins(exporter: ExporterProcess) -> None:
    response = exporter.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    for text in ("ETH", "11.53485", "SPOT", "/metrics"):
        assert text in response.text


def test_the_status_page_escapes_what_comes_from_outside(exporter: ExporterProcess) -> None:
    html = exporter.get("/").text
    assert "<script>alert" not in html
    assert "<b>COIN" not in html
    assert "&lt;script&gt;alert" in html
    assert "&lt;b&gt;COIN" in html


def test_the_status_page_says_nothing_of_a_demo_when_it_is_none(exporter: ExporterProcess) -> None:
    assert "invented" not in exporter.get("/").text
