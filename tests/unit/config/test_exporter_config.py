"""What a valid configuration means. What is wrong with others: test_broken_configurations.py."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bybit_exporter.config import exporter_config as config
from bybit_exporter.config import schema
from bybit_exporter.config.exporter_config import ApiConfig, Config, ConfigError
from bybit_exporter.model import Account, AccountType, Secret

MINIMAL = """
accounts:
  - name: main
    account_type: SPOT
    api_key: the-key
    api_secret: the-secret
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


def load(directory: Path, text: str, environ: Mapping[str, str] | None = None) -> Config:
    path = directory / "config.yaml"
    path.write_text(textwrap.dedent(text))
    return config.load(path, environ or {})


def problems(directory: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(directory, text, environ)
    return [problem.removeprefix(f"{directory}/config.yaml: ") for problem in caught.value.problems]


def only_account(directory: Path, account: str, environ: Mapping[str, str] | None = None) -> Account:
    text = "accounts:\n- name: main\n  account_type: SPOT\n" + textwrap.indent(textwrap.dedent(account), "  ")
    (read,) = load(directory, text, environ).accounts
    return read


def test_the_least_there_can_be_and_the_defaults(directory: Path) -> None:
    assert load(directory, MINIMAL) == Config(
        ApiConfig(
            base_url="https://api.bybit.com", recv_window_seconds=5, timeout_seconds=10, max_requests_per_second=100
        ),
        (Account("main", AccountType.SPOT, None, Secret("the-key"), Secret("the-secret"), 30, 90),),
    )


def test_everything(directory: Path) -> None:
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
    assert load(directory, text) == Config(
        ApiConfig("https://api.bybit.nl", 2.5, 3, 7.5, "192.0.2.1"),
        (
            Account("main", AccountType.SPOT, ("BTC", "1INCH", "USDT"), Secret("k"), Secret("s"), 10, 300),
            Account('Übrige "x"', AccountType.SPOT, None, Secret("k2"), Secret("s2"), 20, 300),
        ),
    )


@pytest.mark.parametrize(
    ("environment", "base_url"),
    [
        ("mainnet", "https://api.bybit.com"),
        ("testnet", "https://api-testnet.bybit.com"),
        ("demo", "https://api-demo.bybit.com"),
    ],
)
def test_environments(directory: Path, environment: str, base_url: str) -> None:
    assert load(directory, f"api: {{environment: {environment}}}\n{MINIMAL}").api.base_url == base_url


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
def test_base_urls(directory: Path, text: str, base_url: str) -> None:
    assert load(directory, f"api: {{base_url: '{text}'}}\n{MINIMAL}").api.base_url == base_url


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
def test_other_base_urls_are_refused_and_not_quoted(directory: Path, text: str) -> None:
    (problem,) = problems(directory, f"api: {{base_url: '{text}'}}\n{MINIMAL}")
    assert problem.startswith("api.base_url: ")
    assert "CANARY" not in problem


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.2", "127.0.0.2"), ("2001:DB8:0::1", "2001:db8::1"), ("::1", "::1"), ("fe80::1", "fe80::1")],
)
def test_source_addresses(directory: Path, text: str, address: str) -> None:
    assert load(directory, f"api: {{source_address: '{text}'}}\n{MINIMAL}").api.source_address == address


NO_SOURCE = "eth0 localhost 127.1 127.0.0.256 127.0.0.1:80 [::1] 10.0.0.0/8 0.0.0.0 :: fe80::1%eth0 224.0.0.1 ff02::1"


@pytest.mark.parametrize("text", [*NO_SOURCE.split(), " 127.0.0.1", "2130706433"])
def test_other_source_addresses_are_refused(directory: Path, text: str) -> None:
    expected = f'api.source_address: "{text}" is not the IP address of a machine, such as 192.0.2.1 or 2001:db8::1'
    assert problems(directory, f"api: {{source_address: '{text}'}}\n{MINIMAL}") == [expected]


def test_an_account_s_figures_live_for_three_of_its_own_intervals(directory: Path) -> None:
    secrets = "api_key: k\napi_secret: s\n"
    assert only_account(directory, secrets + "poll_interval: 10s").stale_after_seconds == 30
    assert only_account(directory, secrets).stale_after_seconds == 90


@pytest.mark.parametrize(("stale_after", "interval"), [("10s", "10s"), ("30s", "29s999ms")])
def test_stale_after_may_be_as_short_as_the_interval(directory: Path, stale_after: str, interval: str) -> None:
    loaded = load(directory, f"stale_after: {stale_after}\npoll_interval: {interval}\n{MINIMAL}")
    assert loaded.accounts[0].stale_after_seconds >= loaded.accounts[0].poll_interval_seconds


def test_stale_after_is_never_below_any_account_s_interval(directory: Path) -> None:
    text = f"stale_after: 30s\npoll_interval: 10s\n{MINIMAL}    poll_interval: 31s\n"
    expected = "stale_after: 30s is shorter than the poll interval of accounts[0], 31s"
    assert problems(directory, text) == [expected]


@pytest.mark.parametrize(
    ("content", "secret"),
    [("abc", "abc"), ("abc\n", "abc"), ("abc\r\n", "abc"), ("\ufeffabc\n", "abc"), ("a!~b", "a!~b")],
)
def test_a_secret_file_s_trailing_newline_is_dropped(directory: Path, content: str, secret: str) -> None:
    (directory / "secret").write_bytes(content.encode())
    account = only_account(directory, "api_key: k\napi_secret_file: secret")
    assert account.api_secret.reveal() == secret


@pytest.mark.parametrize("content", ["", "\n", "abc\n\n", "abc def", " abc", "abc\x00", "äbc", "abc\ndef\n"])
def test_a_secret_file_holds_one_secret_and_nothing_else(directory: Path, content: str) -> None:
    (directory / "secret").write_text(content)
    text = "accounts: [{name: a, account_type: SPOT, api_key: k, api_secret_file: secret}]"
    (problem,) = problems(directory, text)
    assert problem.startswith("accounts[0].api_secret_file: ")
    assert "abc" not in problem


def test_paths_are_relative_to_the_configuration_file(
    directory: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (directory / "keys").mkdir()
    (directory / "keys" / "key").write_text("relative")
    (elsewhere / "secret").write_text("absolute")
    monkeypatch.chdir(elsewhere)
    account = only_account(directory, f"api_key_file: keys/key\napi_secret_file: {elsewhere}/secret")
    assert (account.api_key.reveal(), account.api_secret.reveal()) == ("relative", "absolute")


def test_secrets_from_named_variables(directory: Path) -> None:
    account = only_account(directory, "api_key_env: K\napi_secret_env: S", {"K": "key", "S": "secret"})
    assert (account.api_key.reveal(), account.api_secret.reveal()) == ("key", "secret")


BYBIT = {"BYBIT_API_KEY": "key", "BYBIT_API_SECRET": "secret"}


def test_a_single_account_without_secrets_takes_the_usual_variables(directory: Path) -> None:
    account = only_account(directory, "", BYBIT)
    assert (account.api_key.reveal(), account.api_secret.reveal()) == ("key", "secret")


def test_what_the_file_says_goes_before_the_usual_variables(directory: Path) -> None:
    account = only_account(directory, "api_key: k\napi_secret: s", BYBIT)
    assert (account.api_key.reveal(), account.api_secret.reveal()) == ("k", "s")


def test_the_usual_variables_are_for_a_single_account(directory: Path) -> None:
    text = "accounts: [{name: a, account_type: SPOT}, {name: b, account_type: SPOT}]"
    ways = "missing; give one of api_{0}, api_{0}_file, api_{0}_env"
    assert problems(directory, text, BYBIT) == [
        f"accounts[{index}].api_{kind}: {ways.format(kind)}" for index in (0, 1) for kind in ("key", "secret")
    ]


def test_without_an_environment_given_the_process_s_own_is_read(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in BYBIT.items():
        monkeypatch.setenv(name, value)
    (directory / "config.yaml").write_text("accounts: [{name: a, account_type: SPOT}]")
    assert config.load(directory / "config.yaml").accounts[0].api_key == Secret("key")


def test_a_byte_order_mark_does_no_harm(directory: Path) -> None:
    assert load(directory, "\ufeff" + MINIMAL)


def test_a_file_that_may_not_be_read(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    with pytest.raises(ConfigError, match=r"^x\.yaml: cannot be read: Permission denied$"):
        config.load("x.yaml", {})


def test_a_device_without_end_is_not_read_for_ever() -> None:
    with pytest.raises(ConfigError, match=f"^/dev/zero: is larger than {schema.MAX_FILE_BYTES} bytes$"):
        config.load("/dev/zero", {})


def test_subaccounts_of_one_key_in_two_entries_are_warned_of(directory: Path) -> None:
    text = """
        accounts:
          - {name: trading, account_type: UNIFIED, api_key: k, api_secret: s, subaccounts: true}
          - {name: funding, account_type: FUND, api_key: k, api_secret: s, subaccounts: {balances: FUND}}
          - {name: other, account_type: FUND, api_key: k2, api_secret: s2, subaccounts: true}
        """
    (directory / "twice.yaml").write_text(textwrap.dedent(text))
    warned = [each for each in config.load(directory / "twice.yaml", {}).warnings if "same key" in each]
    assert warned == ['the accounts "trading", "funding" have the same key: write subaccounts in one of them only']


def test_all_problems_at_once_in_the_order_of_the_document(directory: Path) -> None:
    text = """
        poll_interval: 100ms
        zzz: 1
        yyy: 1
        xxx: 1
        accounts:
          - {name: main, account_type: MARGIN, coins: [BTC, eth], api_key: k}
          - {name: main, account_type: SPOT, api_key: k, api_secret: s, key: 1}
        """
    assert problems(directory, text) == [
        'poll_interval: "100ms" is outside of 1s to 1d',
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


def test_the_example_has_the_defaults() -> None:
    loaded = config.load(EXAMPLE, BYBIT)
    assert loaded.api == ApiConfig()
    assert [(each.poll_interval_seconds, each.stale_after_seconds) for each in loaded.accounts] == [(30, 90)]


def test_the_example_needs_nothing_but_the_secrets(directory: Path) -> None:
    assert [problem.split(": ")[0] for problem in problems(directory, EXAMPLE.read_text())] == [
        "accounts[0].api_key",
        "accounts[0].api_secret",
    ]


KEYS = "poll_interval stale_after api environment base_url recv_window timeout max_requests_per_second source_address"
KEYS += " prices enabled interval accounts name account_type coins subaccounts"
KEYS += " api_key api_key_file api_key_env api_secret api_secret_file api_secret_env"


@pytest.mark.parametrize("key", KEYS.split())
def test_the_example_shows_every_key(key: str) -> None:
    words = EXAMPLE.read_text().replace("#", " ").replace("- ", " ").splitlines()
    assert any(line.strip().startswith(f"{key}:") for line in words)
