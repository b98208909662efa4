"""Loads configurations that are given as text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from bybit_exporter import config
from bybit_exporter.config import Config, ConfigError
from bybit_exporter.model import Account

BYBIT = {"BYBIT_API_KEY": "key", "BYBIT_API_SECRET": "secret"}

MINIMAL = """
accounts:
  - name: main
    account_type: SPOT
    api_key: the-key
    api_secret: the-secret
"""


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
