"""What looks like a secret, and what is left of a key in a message."""

from __future__ import annotations

import pytest

from bybit_exporter.config.redaction import looks_like_secret, safe_key

SECRET = "G3YewRpOVcj5O4xhkHZR7Yy9HjBZXV8ysTc4"


@pytest.mark.parametrize(
    "text",
    [
        "xdTSnCJvlHKXd8Q3kG",
        "sVpVqzJbcQEmYdSfLHgTRwaNkPe",
        "0123456789abcdef0123456789abcdef",
        "CANARY-dG9wLXNlY3JldA",
        "./xdTSnCJvlHKXd8Q3kG",
        "-----BEGIN PRIVATE KEY-----",
    ],
)
def test_key_or_secret_looks_like_a_secret(text: str) -> None:
    assert looks_like_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "bybit-api-secret",
        "/run/secrets/api_key_of_main_account_2",
        "/var/lib/pods/0f8fad5b-d9cb-469f-a165-70867728950e/secret",
        "SECRETOFTHEMAINACCOUNT",
        "~/.bybit/key.pem",
        "/",
    ],
)
def test_path_does_not_look_like_a_secret(text: str) -> None:
    assert not looks_like_secret(text)


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("api_key", "api_key"),
        ("max_requests_per_second", "max_requests_per_second"),
        ("api_secret:abc", "api_secret…"),
        (f"api_secret:{SECRET}", "api_secret…"),
        ("a" * 50, "a" * 40 + "…"),
        ("<<", "…"),
        ("", ""),
        (SECRET, "…"),
        ("xdTSnCJvlHKXd8Q3kG", "…"),
        (f"api_secret_{SECRET}", "…"),
        (f"{'a_' * 15}{SECRET}", "…"),
    ],
)
def test_key_in_a_message_is_cut_to_its_name(key: str, shown: str) -> None:
    assert safe_key(key) == shown
