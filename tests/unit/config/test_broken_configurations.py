"""Broken configurations: exit status 2, one line for each problem, and no secret in it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bybit_exporter.cli import main
from tests.exporter_process import run_exporter

CANARY = "CANARY-dG9wLXNlY3JldA"
SECRET_KEY = "CANARY0dG9wLXNlY3JldA"
PEM = f"|\n    -----BEGIN PRIVATE KEY-----\n    {CANARY}\n"
SECRETS = f"api_key: {CANARY}, api_secret: {CANARY}"
MAIN = f"accounts: [{{name: main, account_type: SPOT, {SECRETS}}}]"
KNOWN = "known here: poll_interval, name, account_type, coins, api_key, api_key_file, api_key_env, api_secret,"
KNOWN += " api_secret_file, api_secret_env, subaccounts, products"
NO_SECRET = "contains a blank, a line break or another character that no key or secret has"
REFERENCE = "refers to an environment variable, which is not replaced here; write the variable's name as {0}_env"
QUOTES = "begins and ends with a quote character, which no key or secret has; remove the quotes"
WAYS = "give one of {0}, {0}_file, {0}_env"


@dataclass(frozen=True)
class Broken:
    """A configuration and all its problems, without the file's name. ``{directory}`` in them is the file's folder."""

    name: str
    config: str | bytes
    problems: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)


def account(line: str) -> str:
    return f"accounts: [{{name: main, account_type: SPOT, {line}}}]"


CASES = [
    Broken("empty", "", ("accounts: missing",)),
    Broken("only a comment", "# nothing\n", ("accounts: missing",)),
    Broken("a text", CANARY, ("must be a mapping of keys to values", "accounts: missing")),
    Broken("a list", f"- {CANARY}", ("must be a mapping of keys to values", "accounts: missing")),
    Broken("two documents", f"{MAIN}\n---\n{MAIN}", ("must be a single YAML document",)),
    Broken("not YAML", f"a: [{CANARY}\n", ("line 2: not valid YAML: did not find expected …",)),
    Broken(
        "tab", f"api:\n\ttimeout: {CANARY}", ("line 2: not valid YAML: found character that cannot start any token",)
    ),
    Broken(
        "unquoted at-sign",
        f"{MAIN[:-1]}, a: @{CANARY}",
        ("line 1: not valid YAML: found character that cannot start any token",),
    ),
    Broken("not UTF-8", b"\xff\xfe\x00", ("is not UTF-8",)),
    Broken("control characters", "a: \x07", ("contains characters that YAML does not allow",)),
    Broken(
        "tag", f"{MAIN}\npoll_interval: !!python/name:os.system 10s", ("poll_interval: line 2: tags are not supported",)
    ),
    Broken("too deep", "[" * 1000, ("line 1: nested too deeply",)),
    Broken("a key that is no word", f"? [{CANARY}]\n: 1\n{MAIN}", ("line 1: a key must be a word",)),
    Broken(
        "duplicate key",
        f"poll_interval: 10s\n{MAIN}\npoll_interval: 20s",
        ("poll_interval: given twice, in lines 1 and 3",),
    ),
    Broken(
        "duplicate key within an account",
        f"accounts:\n- name: main\n  account_type: SPOT\n  api_key: {CANARY}\n  api_secret: {CANARY}\n  api_key: x",
        ("accounts[0].api_key: given twice, in lines 4 and 6",),
    ),
    Broken("misspelt key", f"pol_interval: 10s\n{MAIN}", ("pol_interval: unknown key; did you mean poll_interval?",)),
    Broken(
        "unknown key of the API",
        f"api: {{retries: 3}}\n{MAIN}",
        (
            "api.retries: unknown key; known here: environment, base_url, recv_window, timeout,"
            " max_requests_per_second, source_address",
        ),
    ),
    Broken(
        "no blank after the colon",
        f"accounts:\n- name: main\n  account_type: SPOT\n  api_key: k\n  ? api_secret:{CANARY}\n",
        (
            f"accounts[0].api_secret: missing; {WAYS.format('api_secret')}, or set BYBIT_API_SECRET",
            f"accounts[0].api_secret…: unknown key; {KNOWN}",
        ),
    ),
    Broken(
        "secrets as keys",
        account(f"{SECRETS}, {SECRET_KEY}, {SECRET_KEY}: 1"),
        ("accounts[0].…: given twice, in lines 1 and 1", f"accounts[0].…: unknown key; {KNOWN}"),
    ),
    Broken("accounts is empty", "accounts: []", ("accounts: must be a list of at least one entry",)),
    Broken("accounts is a mapping", f"accounts: {{{SECRETS}}}", ("accounts: must be a list of at least one entry",)),
    Broken("an account is a text", f"accounts: [{CANARY}]", ("accounts[0]: must be a mapping of keys to values",)),
    Broken("no name", f"accounts: [{{account_type: SPOT, {SECRETS}}}]", ("accounts[0].name: missing",)),
    Broken("empty name", f"accounts: [{{name: '', account_type: SPOT, {SECRETS}}}]", ("accounts[0].name: is empty",)),
    Broken(
        "name with a line break",
        f'accounts: [{{name: "a\\nb", account_type: SPOT, {SECRETS}}}]',
        (r'accounts[0].name: "a\nb" contains a line break or another character that is not printable',),
    ),
    Broken(
        "name that steers the terminal",
        f'accounts: [{{name: "\\x9b2J", account_type: SPOT, {SECRETS}}}]',
        (
            'accounts[0].name: "\N{REPLACEMENT CHARACTER}2J" contains a line break'
            " or another character that is not printable",
        ),
    ),
    Broken(
        "name that stands twice",
        f"accounts:\n- {{name: main, account_type: SPOT, {SECRETS}}}\n- {{name: main, account_type: SPOT, {SECRETS}}}",
        ('accounts[1].name: "main" is the name of accounts[0] already',),
    ),
    Broken(
        "auto in capitals",
        f"accounts: [{{name: main, account_type: AUTO, {SECRETS}}}]",
        ('accounts[0].account_type: "AUTO" is not one of SPOT, UNIFIED, FUND, auto',),
    ),
    Broken(
        "subaccounts that are neither true nor false",
        account("subaccounts: maybe, " + SECRETS),
        ('accounts[0].subaccounts: "maybe" is neither true nor false',),
    ),
    Broken(
        "balances of another wallet",
        account("subaccounts: {balances: SPOT}, " + SECRETS),
        ('accounts[0].subaccounts.balances: "SPOT" is not one of FUND',),
    ),
    Broken(
        "unknown key of the subaccounts",
        account("subaccounts: {balance: FUND}, " + SECRETS),
        ("accounts[0].subaccounts.balance: unknown key; did you mean balances?",),
    ),
    Broken(
        "prices",
        f"prices: {{enabled: perhaps, interval: 1, intervall: 60s}}\n{MAIN}",
        (
            'prices.enabled: "perhaps" is neither true nor false',
            'prices.interval: "1" is not a duration such as 30s or 1m30s',
            "prices.intervall: unknown key; did you mean interval?",
        ),
    ),
    Broken(
        "half of a PEM",
        f"accounts:\n- name: main\n  account_type: SPOT\n  api_key: k\n  api_secret: {PEM}",
        ("accounts[0].api_secret: begins like a PEM file, but holds no private key",),
    ),
    Broken(
        "a PEM as a key",
        f"accounts:\n- name: main\n  account_type: SPOT\n  api_secret: s\n  api_key: {PEM}",
        (f"accounts[0].api_key: {NO_SECRET}",),
    ),
    Broken("no account type", f"accounts: [{{name: main, {SECRETS}}}]", ("accounts[0].account_type: missing",)),
    Broken(
        "unknown account type",
        f"accounts: [{{name: main, account_type: spot, {SECRETS}}}]",
        ('accounts[0].account_type: "spot" is not one of SPOT, UNIFIED, FUND, auto',),
    ),
    Broken(
        "coin in lower case",
        account(f"coins: [BTC, eth], {SECRETS}"),
        ('accounts[0].coins[1]: "eth" is not an upper-case coin name',),
    ),
    Broken(
        "coins in one text",
        account(f"coins: ['BTC,ETH', 'BTC ETH', '', \"BTC\\t\"], {SECRETS}"),
        (
            'accounts[0].coins[0]: "BTC,ETH" is not an upper-case coin name',
            'accounts[0].coins[1]: "BTC ETH" is not an upper-case coin name',
            'accounts[0].coins[2]: "" is not an upper-case coin name',
            r'accounts[0].coins[3]: "BTC\t" is not an upper-case coin name',
        ),
    ),
    Broken(
        "products that are neither true nor false",
        account("products: [Earn], " + SECRETS),
        ("accounts[0].products: must be a single value",),
    ),
    Broken(
        "coin twice", account(f"coins: [BTC, ETH, BTC], {SECRETS}"), ('accounts[0].coins[2]: "BTC" is listed twice',)
    ),
    Broken(
        "no coins",
        account(f"coins: [], {SECRETS}"),
        ("accounts[0].coins: must be a list such as [BTC, USDT]; leave it out for every coin of the account",),
    ),
    Broken(
        "coins as a text",
        account(f"coins: BTC, {SECRETS}"),
        ("accounts[0].coins: must be a list such as [BTC, USDT]; leave it out for every coin of the account",),
    ),
    Broken(
        "secrets slipped into the coins",
        f"accounts:\n- name: main\n  account_type: SPOT\n  coins:\n  - BTC\n  - {{{SECRETS}}}",
        (
            "accounts[0].coins[1]: must be a single value",
            f"accounts[0].api_key: missing; {WAYS.format('api_key')}, or set BYBIT_API_KEY",
            f"accounts[0].api_secret: missing; {WAYS.format('api_secret')}, or set BYBIT_API_SECRET",
        ),
    ),
    Broken(
        "interval without a unit",
        f"poll_interval: 30\n{MAIN}",
        ('poll_interval: "30" is not a duration such as 30s or 1m30s',),
    ),
    Broken("interval too short", f"poll_interval: 999ms\n{MAIN}", ('poll_interval: "999ms" is outside of 1s to 100y',)),
    Broken(
        "interval of an account",
        account(f"poll_interval: 0s, {SECRETS}"),
        ('accounts[0].poll_interval: "0s" is outside of 1s to 100y',),
    ),
    Broken("interval of nothing", f"poll_interval:\n{MAIN}", ("poll_interval: is empty",)),
    Broken(
        "secrets as an interval", f"poll_interval: {{{SECRETS}}}\n{MAIN}", ("poll_interval: must be a single value",)
    ),
    Broken(
        "stale before the next poll",
        f"stale_after: 20s\n{MAIN}",
        ("stale_after: 20s is shorter than the poll interval of accounts[0], 30s",),
    ),
    Broken(
        "unknown environment",
        f"api: {{environment: live}}\n{MAIN}",
        ('api.environment: "live" is not one of mainnet, testnet, demo',),
    ),
    Broken("api as a list", f"api: []\n{MAIN}", ("api: must be a mapping of keys to values",)),
    Broken(
        "plain HTTP to the world",
        f"api: {{base_url: 'http://api.bybit.com'}}\n{MAIN}",
        ("api.base_url: must begin with https://; http:// is for loopback only",),
    ),
    Broken(
        "credentials in the URL",
        f"api: {{base_url: 'https://me:{CANARY}@api.bybit.com'}}\n{MAIN}",
        ("api.base_url: must be https:// and a host, such as https://api.bybit.nl",),
    ),
    Broken(
        "environment and URL",
        f"api: {{environment: mainnet, base_url: 'https://api.bybit.nl'}}\n{MAIN}",
        ("api.base_url: environment is given too; give one of the two",),
    ),
    Broken("timeout of 0", f"api: {{timeout: 0s}}\n{MAIN}", ('api.timeout: "0s" is outside of 1ms to 10m',)),
    Broken(
        "recv_window too long", f"api: {{recv_window: 2m}}\n{MAIN}", ('api.recv_window: "2m" is outside of 1ms to 1m',)
    ),
    Broken(
        "no requests at all",
        f"api: {{max_requests_per_second: 0}}\n{MAIN}",
        ('api.max_requests_per_second: "0" is not a number greater than 0',),
    ),
    Broken(
        "endless requests",
        f"api: {{max_requests_per_second: .inf}}\n{MAIN}",
        ('api.max_requests_per_second: ".inf" is not a number greater than 0',),
    ),
    Broken(
        "source address with a port",
        f"api: {{source_address: '127.0.0.2:0'}}\n{MAIN}",
        ('api.source_address: "127.0.0.2:0" is not the IP address of a machine, such as 192.0.2.1 or 2001:db8::1',),
    ),
    Broken("empty source address", f"api: {{source_address: }}\n{MAIN}", ("api.source_address: is empty",)),
    Broken(
        "no secrets",
        account("coins: [BTC]"),
        (
            f"accounts[0].api_key: missing; {WAYS.format('api_key')}, or set BYBIT_API_KEY",
            f"accounts[0].api_secret: missing; {WAYS.format('api_secret')}, or set BYBIT_API_SECRET",
        ),
    ),
    Broken(
        "a secret in two ways",
        account(f"{SECRETS}, api_secret_file: secret"),
        (
            "accounts[0].api_secret_file: api_secret is given too;"
            " give exactly one of api_secret, api_secret_file, api_secret_env",
        ),
        files={"secret": CANARY.encode()},
    ),
    Broken("empty secret", account(f"api_key: {CANARY}, api_secret: ''"), ("accounts[0].api_secret: is empty",)),
    Broken(
        "secret with a blank",
        account(f"api_key: {CANARY}, api_secret: 'x {CANARY}'"),
        (f"accounts[0].api_secret: {NO_SECRET}",),
    ),
    Broken(
        "secret as a list",
        account(f"api_key: {CANARY}, api_secret: [{CANARY}]"),
        ("accounts[0].api_secret: must be a single value",),
    ),
    Broken(
        "no such secret file",
        account(f"api_key: {CANARY}, api_secret_file: nowhere"),
        ('accounts[0].api_secret_file: the file "{directory}/nowhere" cannot be read: No such file or directory',),
    ),
    Broken(
        "secret file is a directory",
        account(f"api_key: {CANARY}, api_secret_file: ."),
        ('accounts[0].api_secret_file: the file "{directory}" cannot be read: Is a directory',),
    ),
    Broken(
        "path of a secret file with a line break",
        account(f'api_key: {CANARY}, api_secret_file: "a\\nb\u202ec"'),
        (
            'accounts[0].api_secret_file: the file "{directory}/a\\nb\N{REPLACEMENT CHARACTER}c" cannot be read:'
            " No such file or directory",
        ),
    ),
    Broken(
        "path of a secret file with a null character",
        account(f'api_key_file: "a\\0b", api_secret: {CANARY}'),
        ("accounts[0].api_key_file: the file cannot be read: its path contains a character that no path may have",),
    ),
    Broken(
        "secret file of two lines",
        account(f"api_key: {CANARY}, api_secret_file: secret"),
        (f"accounts[0].api_secret_file: the file {NO_SECRET}",),
        files={"secret": f"{CANARY}\n{CANARY}\n".encode()},
    ),
    Broken(
        "secret file is not text",
        account(f"api_key: {CANARY}, api_secret_file: secret"),
        ("accounts[0].api_secret_file: the file is not UTF-8",),
        files={"secret": b"\xff" + CANARY.encode()},
    ),
    Broken(
        "no such secret file in a folder",
        account(f"api_key: {CANARY}, api_secret_file: '/run/secrets/${{NAME}}/bybit-api-secret'"),
        (
            'accounts[0].api_secret_file: the file "/run/secrets/${NAME}/bybit-api-secret" cannot be read:'
            " No such file or directory",
        ),
    ),
    Broken(
        "secret instead of its file",
        account(f"api_key: {CANARY}, api_secret_file: {CANARY}"),
        (
            "accounts[0].api_secret_file: the file cannot be read: No such file or directory;"
            " must be the path of a file, not its content",
        ),
    ),
    Broken(
        "PEM instead of its file",
        f"accounts:\n- name: main\n  account_type: SPOT\n  api_key: k\n  api_secret_file: {PEM}",
        (
            "accounts[0].api_secret_file: the file cannot be read: No such file or directory;"
            " must be the path of a file, not its content",
        ),
    ),
    Broken(
        "secret instead of the name of its variable",
        account(f"api_key: {CANARY}, api_secret_env: {CANARY}"),
        ("accounts[0].api_secret_env: the environment has no variable of this name",),
    ),
    Broken(
        "name of a variable with a dollar sign",
        account(f"api_key: {CANARY}, api_secret_env: $MY_SECRET"),
        ("accounts[0].api_secret_env: the environment has no variable of this name; write the name alone, without $",),
        environ={"MY_SECRET": CANARY},
    ),
    Broken(
        "variables instead of secrets",
        account("api_key: $MY_KEY, api_secret: '${MY_SECRET:-x}'"),
        (
            f"accounts[0].api_key: {REFERENCE.format('api_key')}",
            f"accounts[0].api_secret: {REFERENCE.format('api_secret')}",
        ),
        environ={"MY_KEY": CANARY, "MY_SECRET": CANARY},
    ),
    Broken(
        "variables in a file and in a variable",
        account("api_key_file: key, api_secret_env: MY_SECRET"),
        (
            f"accounts[0].api_key_file: the file {REFERENCE.format('api_key')}",
            f"accounts[0].api_secret_env: the variable {REFERENCE.format('api_secret')}",
        ),
        files={"key": b"$(MY_KEY)\n"},
        environ={"MY_SECRET": f"a${{{CANARY}}}"},
    ),
    Broken(
        "secrets in quotes",
        account(f"api_key: '\"{CANARY}\"', api_secret: \"'{CANARY}'\""),
        (f"accounts[0].api_key: {QUOTES}", f"accounts[0].api_secret: {QUOTES}"),
    ),
    Broken(
        "secrets in quotes in a file and in a variable",
        account("api_key_file: key, api_secret_env: MY_SECRET"),
        (f"accounts[0].api_key_file: the file {QUOTES}", f"accounts[0].api_secret_env: the variable {QUOTES}"),
        files={"key": f'"{CANARY}"\n'.encode()},
        environ={"MY_SECRET": f"\u201c{CANARY}\u201d"},
    ),
    Broken(
        "quotes in the usual variable",
        account("coins: [BTC]"),
        (f"accounts[0].api_secret: the environment variable BYBIT_API_SECRET {QUOTES}",),
        environ={"BYBIT_API_KEY": CANARY, "BYBIT_API_SECRET": f'"{CANARY}"'},
    ),
    Broken(
        "no such variable",
        account(f"api_key: {CANARY}, api_secret_env: NOWHERE"),
        ("accounts[0].api_secret_env: the environment has no variable of this name",),
    ),
    Broken(
        "broken variable",
        account(f"api_key: {CANARY}, api_secret_env: MY_SECRET"),
        (f"accounts[0].api_secret_env: the variable {NO_SECRET}",),
        environ={"MY_SECRET": f"{CANARY}\n"},
    ),
    Broken(
        "broken usual variable",
        account("coins: [BTC]"),
        ("accounts[0].api_secret: the environment variable BYBIT_API_SECRET is empty",),
        environ={"BYBIT_API_KEY": CANARY, "BYBIT_API_SECRET": ""},
    ),
    Broken(
        "many problems",
        f"""
        poll_interval: soon
        zone: x
        api: {{timeout: 5, environment: moon}}
        accounts:
          - {{name: main, account_type: SPOT, coins: [btc], api_key: {CANARY}, api_secret: {CANARY}}}
          - {{name: other, account_type: SPOT, api_key: {CANARY}, token: {CANARY}}}
        """,
        (
            'poll_interval: "soon" is not a duration such as 30s or 1m30s',
            'api.environment: "moon" is not one of mainnet, testnet, demo',
            'api.timeout: "5" is not a duration such as 30s or 1m30s',
            'accounts[0].coins[0]: "btc" is not an upper-case coin name',
            f"accounts[1].api_secret: missing; {WAYS.format('api_secret')}",
            f"accounts[1].token: unknown key; {KNOWN}",
            "zone: unknown key; known here: poll_interval, stale_after, api, prices, accounts",
        ),
    ),
]


def write(case: Broken, directory: Path) -> None:
    config = case.config if isinstance(case.config, bytes) else textwrap.dedent(case.config).encode()
    (directory / "config.yaml").write_bytes(config)
    for name, content in case.files.items():
        (directory / name).write_bytes(content)


@pytest.mark.usefixtures("restored_process")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_broken_configuration_has_exactly_these_problems(
    case: Broken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(case, tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("BYBIT_API_KEY", "BYBIT_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in case.environ.items():
        monkeypatch.setenv(name, value)
    status = main(["--check-config"])
    output = capsys.readouterr()
    problems = [problem.replace("{directory}", str(tmp_path)) for problem in case.problems]
    expected = "".join(f"config.yaml: {problem}\n" for problem in problems)
    assert (status, output.out, output.err) == (2, "", expected)
    assert CANARY not in output.err
    assert SECRET_KEY not in output.err


@pytest.mark.parametrize("mode", ["--check-config", "--once", "--log.level=debug"])
def test_process_with_a_broken_configuration_exits_alike_in_every_mode(mode: str, tmp_path: Path) -> None:
    many = CASES[-1]
    write(many, tmp_path)
    done = run_exporter(mode, cwd=tmp_path)
    expected = "".join(f"config.yaml: {problem}\n" for problem in many.problems)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


def test_problem_names_the_file_as_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("accounts: []")
    done = run_exporter("--config.file=./other.yaml", "--check-config", cwd=tmp_path)
    assert done.stderr == "./other.yaml: accounts: must be a list of at least one entry\n"


def test_path_of_the_file_cannot_control_the_terminal(tmp_path: Path) -> None:
    done = run_exporter("--config.file=a\nb\x1b[2J\u202ec", "--check-config", cwd=tmp_path)
    shown = "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}c"
    assert done.stderr.splitlines()[0] == f"{shown}: cannot be read: No such file or directory"


def test_missing_configuration_file_is_one_problem(tmp_path: Path) -> None:
    done = run_exporter("--check-config", cwd=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "config.yaml: cannot be read: No such file or directory",
    )
