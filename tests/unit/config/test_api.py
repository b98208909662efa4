"""The section `api`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.config.loading import MINIMAL, load, problems


@pytest.mark.parametrize(
    ("environment", "base_url"),
    [
        ("mainnet", "https://api.bybit.com"),
        ("testnet", "https://api-testnet.bybit.com"),
        ("demo", "https://api-demo.bybit.com"),
    ],
)
def test_environment_chooses_the_host(tmp_path: Path, environment: str, base_url: str) -> None:
    assert load(tmp_path, f"api: {{environment: {environment}}}\n{MINIMAL}").api.base_url == base_url


@pytest.mark.parametrize(
    ("text", "base_url"),
    [
        ("https://api.bybit.eu/", "https://api.bybit.eu"),
        ("https://API.bybit.eu:8443", "https://api.bybit.eu:8443"),
        ("https://[2001:db8::1]:1", "https://[2001:db8::1]:1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.1.2.3", "http://127.1.2.3"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://localhost:8000/", "http://localhost:8000"),
    ],
)
def test_base_url_is_normalised(tmp_path: Path, text: str, base_url: str) -> None:
    assert load(tmp_path, f"api: {{base_url: '{text}'}}\n{MINIMAL}").api.base_url == base_url


@pytest.mark.parametrize(
    "text",
    [
        "http://api.bybit.com",
        "http://10.0.0.1",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://[::2]",
        "https://user:CANARY@api.bybit.com",
        "https://api.bybit.com/v5?CANARY",
        "https://api.bybit.com/CANARY",
        "https://api.bybit.com#CANARY",
        "https://CANARY CANARY",
        "https://" + "CANARY" * 20 + ".com",
        "https://CANARY..com",
        "https://api.bybit.com:99999",
        "https://[CANARY",
        "https://[fe80::1%25CANARY]",
        "https://",
        "api.bybit.com",
        "ftp://api.bybit.com",
        "",
    ],
)
def test_base_url_of_another_kind_is_refused_and_not_quoted(tmp_path: Path, text: str) -> None:
    (problem,) = problems(tmp_path, f"api: {{base_url: '{text}'}}\n{MINIMAL}")
    assert problem.startswith("api.base_url: ")
    assert "CANARY" not in problem


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.2", "127.0.0.2"), ("2001:DB8:0::1", "2001:db8::1"), ("::1", "::1"), ("fe80::1", "fe80::1")],
)
def test_source_address_is_normalised(tmp_path: Path, text: str, address: str) -> None:
    assert load(tmp_path, f"api: {{source_address: '{text}'}}\n{MINIMAL}").api.source_address == address


NO_SOURCE = "eth0 localhost 127.1 127.0.0.256 127.0.0.1:80 [::1] 10.0.0.0/8 0.0.0.0 :: fe80::1%eth0 224.0.0.1 ff02::1"


@pytest.mark.parametrize("text", [*NO_SOURCE.split(), " 127.0.0.1", "2130706433"])
def test_source_address_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    expected = f'api.source_address: "{text}" is not the IP address of a machine, such as 192.0.2.1 or 2001:db8::1'
    assert problems(tmp_path, f"api: {{source_address: '{text}'}}\n{MINIMAL}") == [expected]
