"""Secrets are never shown."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bybit_exporter.config import ApiConfig, Config
from bybit_exporter.metrics.state import AccountState
from bybit_exporter.model import Secret
from tests.builders import make_account

CANARY = "CANARY-c2VjcmV0"
ACCOUNT = make_account(api_key=Secret(CANARY), api_secret=Secret(CANARY))


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        lambda value: f"{value}",
        lambda value: f"{value!r}",
        lambda value: f"{value!s:>50}",
        lambda value: "%s %r" % (value, value),  # noqa: UP031
        lambda value: "{}".format(value),  # noqa: UP032
        lambda value: format(value, ">50"),
        lambda value: str([value]),
        lambda value: str({"a": (value,)}),
        lambda value: str(Exception(value)),
        lambda value: json.dumps(value, default=repr),
        lambda value: json.dumps(value),
        lambda value: str(vars(value)),
        lambda value: str(dataclasses.asdict(value)),
        lambda value: str(copy.copy(value)),
        lambda value: str(copy.deepcopy(value)),
        lambda value: msgspec.json.encode(value).decode(),
        *(lambda value, protocol=protocol: pickle.dumps(value, protocol).decode("latin-1") for protocol in range(6)),
    ],
)
@pytest.mark.parametrize("value", [Secret(CANARY), ACCOUNT, Config(ApiConfig(), (ACCOUNT,)), AccountState(ACCOUNT)])
def test_secret_is_not_shown_by_any_representation(value: Any, show: Callable[[Any], str]) -> None:
    shown = ""
    try:
        shown = show(value)
    except Exception:
        shown = traceback.format_exc()
    assert CANARY not in shown


def test_secret_cannot_be_pickled() -> None:
    for protocol in range(6):
        with pytest.raises(TypeError, match="a secret is not serialised"):
            pickle.dumps(Secret(CANARY), protocol)
    with contextlib.suppress(TypeError):
        assert copy.copy(Secret(CANARY)) == Secret(CANARY)


def test_secret_is_returned_by_reveal() -> None:
    assert Secret(CANARY).reveal() == CANARY
    assert str(Secret(CANARY)) == repr(Secret(CANARY)) == "Secret(***)"


def test_secrets_compare_by_their_text() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
