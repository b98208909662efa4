"""The reader of the key itself."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bybit_exporter.bybit.api_key import read_api_key
from bybit_exporter.model import ApiKey, FailureReason
from tests.unit.bybit.fake_exchange import MAIN, Exchange, refusal


def key_info(**changes: Any) -> dict[str, Any]:
    return {"readOnly": 1, "ips": ["*"], "expiredAt": "2026-12-22T07:20:25Z", "deadlineDay": 28, **changes}


EXPIRY = 1797924025.0


@pytest.mark.parametrize(
    ("result", "key"),
    [
        (key_info(), ApiKey(True, False, EXPIRY)),
        (key_info(readOnly=0, permissions={}), ApiKey(False, False, EXPIRY)),
        (key_info(ips=["192.0.2.1", "192.0.2.2"], expiredAt=""), ApiKey(True, True, None)),
        (key_info(expiredAt="1970-01-01T00:00:00Z"), ApiKey(True, False, None)),
        (key_info(ips=[]), ApiKey(True, False, EXPIRY)),
        (key_info(ips=[""]), ApiKey(True, False, EXPIRY)),
        (key_info(ips=None, expiredAt=None), ApiKey(True, False, None)),
        ({"readOnly": 1}, ApiKey(True, False, None)),
    ],
)
def test_key_as_answered_is_read(result: dict[str, Any], key: ApiKey) -> None:
    assert read_api_key(Exchange(result).client, MAIN).result == key


@pytest.mark.parametrize(
    ("read_only", "permissions", "can_withdraw"),
    [
        (0, {"Wallet": ["AccountTransfer", "Withdraw"], "Spot": ["SpotTrade"]}, True),
        (1, {"Wallet": ["AccountTransfer", "Withdraw"]}, False),
        (0, {"Wallet": ["AccountTransfer", "SubMemberTransfer"]}, False),
        (0, {"Wallet": []}, False),
        (0, {"Wallet": None}, False),
        (0, {"Exchange": ["Withdraw"]}, False),
        (0, {}, False),
        (0, None, None),
        (1, None, False),
    ],
)
def test_key_can_withdraw_only_with_the_permission_and_not_read_only(
    read_only: int, permissions: object, can_withdraw: bool | None
) -> None:
    result = key_info(readOnly=read_only, permissions=permissions)
    assert read_api_key(Exchange(result).client, MAIN).result.can_withdraw is can_withdraw


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("text", ["2026-12-22T07:20:25", "2026-12-22 07:20:25", "2026-12-22T09:20:25+02:00"])
def test_expiry_without_a_zone_is_in_utc(monkeypatch: pytest.MonkeyPatch, zone: str, text: str) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        assert read_api_key(Exchange(key_info(expiredAt=text)).client, MAIN).result.expiry_timestamp == EXPIRY
    time.tzset()


def test_key_without_permissions_in_the_answer_may_or_may_not_withdraw() -> None:
    assert read_api_key(Exchange(key_info(readOnly=0)).client, MAIN).result.can_withdraw is None


@pytest.mark.parametrize(
    ("result", "field"),
    [
        (key_info(expiredAt="soon"), "result.expiredAt"),
        (key_info(expiredAt="9999-99-99T00:00:00Z"), "result.expiredAt"),
        (key_info(readOnly="1"), "result.readOnly"),
        (key_info(ips="*"), "result.ips"),
        (key_info(permissions={"Wallet": "Withdraw"}), "result.permissions.Wallet"),
        (key_info(permissions=["Withdraw"]), "result.permissions"),
        ({}, "result.readOnly"),
    ],
)
def test_key_with_a_field_of_another_kind_is_malformed(result: dict[str, Any], field: str) -> None:
    error = refusal(read_api_key, Exchange(result))
    assert error.reason is FailureReason.MALFORMED
    assert str(error).startswith(field)
