"""Valid configurations. Wrong ones: test_broken_configurations.py."""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bybit_exporter import config, durations
from bybit_exporter.config import ApiConfig, Config, ConfigError, schema
from bybit_exporter.model import Account, AccountType, Secret
from bybit_exporter.web.status_page.formatting import utc
from tests.unit.config.loading import BYBIT, MINIMAL, load, only_account, problems


def test_minimal_configuration_has_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, MINIMAL) == Config(
        ApiConfig(
            base_url="https://api.bybit.com", recv_window_seconds=5, timeout_seconds=10, max_requests_per_second=100
        ),
        (Account("main", AccountType.SPOT, None, Secret("the-key"), Secret("the-secret"), 30, 90),),
    )


def test_every_setting_is_read(tmp_path: Path) -> None:
    text = """
        poll_interval: 20s
        stale_after: 5m
        api:
          base_url: https://api.bybit.nl
          recv_window: 2s500ms
          timeout: 3s
          max_requests_per_second: 7.5
          source_address: 192.0.2.1
        accounts:
          - {name: main, account_type: SPOT, coins: [BTC, 1INCH, USDT], api_key: k, api_secret: s, poll_interval: 10s}
          - {name: "Übrige \\"x\\"", account_type: SPOT, api_key: k2, api_secret: s2}
        """
    assert load(tmp_path, text) == Config(
        ApiConfig("https://api.bybit.nl", 2.5, 3, 7.5, "192.0.2.1"),
        (
            Account("main", AccountType.SPOT, ("BTC", "1INCH", "USDT"), Secret("k"), Secret("s"), 10, 300),
            Account('Übrige "x"', AccountType.SPOT, None, Secret("k2"), Secret("s2"), 20, 300),
        ),
    )


def test_stale_after_is_three_intervals_of_the_account(tmp_path: Path) -> None:
    secrets = "api_key: k\napi_secret: s\n"
    assert only_account(tmp_path, secrets + "poll_interval: 10s").stale_after_seconds == 30
    assert only_account(tmp_path, secrets).stale_after_seconds == 90


@pytest.mark.parametrize(("stale_after", "interval"), [("10s", "10s"), ("30s", "29s999ms")])
def test_stale_after_may_be_as_short_as_the_interval(tmp_path: Path, stale_after: str, interval: str) -> None:
    loaded = load(tmp_path, f"stale_after: {stale_after}\npoll_interval: {interval}\n{MINIMAL}")
    assert loaded.accounts[0].stale_after_seconds >= loaded.accounts[0].poll_interval_seconds


@pytest.mark.parametrize("interval", ["1d", "1d1s", "1w", "100y"])
def test_default_of_stale_after_can_be_written(tmp_path: Path, interval: str) -> None:
    default = load(tmp_path, f"poll_interval: {interval}\n{MINIMAL}")
    (account,) = default.accounts
    assert account.poll_interval_seconds == durations.parse(interval)
    written = durations.show(account.stale_after_seconds)
    assert load(tmp_path, f"stale_after: {written}\npoll_interval: {interval}\n{MINIMAL}") == default


def test_page_with_the_longest_interval_shows_when_the_next_poll_is() -> None:
    assert utc(time.time() + schema.LONGEST_SECONDS) > "2100"


def test_stale_after_below_the_interval_of_an_account_is_refused(tmp_path: Path) -> None:
    text = f"stale_after: 30s\npoll_interval: 10s\n{MINIMAL}    poll_interval: 31s\n"
    expected = "stale_after: 30s is shorter than the poll interval of accounts[0], 31s"
    assert problems(tmp_path, text) == [expected]


def test_environment_of_the_process_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in BYBIT.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "config.yaml").write_text("accounts: [{name: a, account_type: SPOT}]")
    assert config.load(tmp_path / "config.yaml").accounts[0].api_key == Secret("key")


def test_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeff" + MINIMAL)


def test_file_without_permission_is_one_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(schema, "open", refuse, raising=False)  # root may read everything
    with pytest.raises(ConfigError, match=r"^x\.yaml: cannot be read: Permission denied$"):
        config.load("x.yaml", {})


def test_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.touch()
    os.truncate(path, schema.MAX_FILE_BYTES + 1)
    with pytest.raises(ConfigError, match=f": is larger than {schema.MAX_FILE_BYTES} bytes$"):
        config.load(path, {})


def test_file_that_is_a_pipe_or_a_device_is_refused_at_once(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link, Path("/dev/zero")):
        with pytest.raises(ConfigError) as caught:
            config.load(path, {})
        assert caught.value.problems == [f"{path}: is not a regular file"]


def test_file_behind_symbolic_links_is_read(tmp_path: Path) -> None:
    """Kubernetes mounts secrets so."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "config.yaml").write_text(MINIMAL)
    (tmp_path / "current").symlink_to("data")
    (tmp_path / "config.yaml").symlink_to("current/config.yaml")
    assert config.load(tmp_path / "config.yaml", {}).accounts


def test_subaccounts_or_products_of_one_key_in_two_accounts_are_a_warning(tmp_path: Path) -> None:
    text = """
        accounts:
          - {name: trading, account_type: UNIFIED, api_key: k, api_secret: s, subaccounts: true}
          - {name: funding, account_type: FUND, api_key: k, api_secret: s, subaccounts: {balances: FUND}}
          - {name: other, account_type: FUND, api_key: k2, api_secret: s2, subaccounts: true, products: true}
          - {name: more, account_type: UNIFIED, api_key: k2, api_secret: s2, products: true}
        """
    (tmp_path / "twice.yaml").write_text(textwrap.dedent(text))
    warned = [each for each in config.load(tmp_path / "twice.yaml", {}).warnings if "same key" in each]
    assert warned == [
        'the accounts "trading", "funding" have the same key: write subaccounts in one of them only',
        'the accounts "other", "more" have the same key: write products in one of them only',
    ]


def test_all_problems_at_once_in_the_order_of_the_document(tmp_path: Path) -> None:
    text = """
        poll_interval: 100ms
        zzz: 1
        yyy: 1
        xxx: 1
        accounts:
          - {name: main, account_type: MARGIN, coins: [BTC, eth], api_key: k}
          - {name: main, account_type: SPOT, api_key: k, api_secret: s, key: 1}
        """
    assert problems(tmp_path, text) == [
        'poll_interval: "100ms" is outside of 1s to 100y',
        'accounts[0].account_type: "MARGIN" is not one of SPOT, UNIFIED, FUND, auto',
        'accounts[0].coins[1]: "eth" is not an upper-case coin name',
        "accounts[0].api_secret: missing; give one of api_secret, api_secret_file, api_secret_env",
        "accounts[1].key: unknown key; did you mean api_key?",
        'accounts[1].name: "main" is the name of accounts[0] already',
        *(
            f"{key}: unknown key; known here: poll_interval, stale_after, api, prices, accounts"
            for key in ("zzz", "yyy", "xxx")
        ),
    ]


WORDS = ["api", "accounts", "name", "coins", "api_key", "SPOT", "1s", ":", "- ", "\n", " ", "&a", "*a", *"[]{},"]
CONTENT = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(WORDS)).map("".join))


@settings(max_examples=300)
@given(CONTENT)
def test_any_text_is_a_configuration_or_a_configuration_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    problems: Sequence[str] = ()
    try:
        config.load(path, {})
    except ConfigError as error:
        problems = error.problems
    assert all(problem.isprintable() for problem in problems)


# The example that users copy.

EXAMPLE = Path(__file__).parent.parent.parent.parent / "config.example.yaml"


def test_example_has_the_defaults() -> None:
    loaded = config.load(EXAMPLE, BYBIT)
    assert loaded.api == ApiConfig()
    assert [(each.poll_interval_seconds, each.stale_after_seconds) for each in loaded.accounts] == [(30, 90)]


def test_example_lacks_only_the_secrets(tmp_path: Path) -> None:
    assert [problem.split(": ")[0] for problem in problems(tmp_path, EXAMPLE.read_text())] == [
        "accounts[0].api_key",
        "accounts[0].api_secret",
    ]


KEYS = "poll_interval stale_after api environment base_url recv_window timeout max_requests_per_second source_address"
KEYS += " prices enabled interval accounts name account_type coins subaccounts balances products"
KEYS += " api_key api_key_file api_key_env api_secret api_secret_file api_secret_env"


@pytest.mark.parametrize("key", KEYS.split())
def test_example_has_every_key(key: str) -> None:
    words = EXAMPLE.read_text().replace("#", " ").replace("- ", " ").splitlines()
    assert any(line.strip().startswith(f"{key}:") for line in words)
