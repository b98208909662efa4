"""How often the exchange is asked for what: a poll is one request, everything else has an interval of its own."""

from __future__ import annotations

from collections import Counter

import pytest

from bybit_exporter.clock import now
from bybit_exporter.model import AccountType
from bybit_exporter.sandbox import (
    ASSET_OVERVIEW,
    COINS_BALANCE,
    KEY_INFO,
    MEMBERS_ASSETS,
    SUBMEMBERS,
    TICKERS,
    WALLET_BALANCE,
    WITHDRAWABLE_AMOUNT,
    WITHDRAWALS,
    Exchange,
    FundingHolding,
    UnifiedHolding,
)
from tests.in_process import JumpingClock, Serving, account_for
from tests.support import eventually

STEPS, STEP_SECONDS = 14, 30.0
"""A step is a jump of the clock, and is one poll of each account."""


def paths_asked(serving: Serving) -> Counter[str]:
    return Counter(recorded.request.path for recorded in serving.exchange.requests)


def test_everything_is_asked_for_as_often_as_it_must_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is checked every hour, what is held back is read every five minutes, everything else once a minute."""
    clock = JumpingClock(monkeypatch)
    exchange = Exchange()
    held = exchange.add_account("main", unified={"USDT": UnifiedHolding("5")}, funding={"USDT": FundingHolding("7")})
    held.add_member("desk")
    often = {"poll_interval_seconds": STEP_SECONDS, "stale_after_seconds": 3600.0}
    unified = account_for(held, account_type=AccountType.UNIFIED, products=True, subaccounts=True, **often)
    fund = account_for(held, name="fund", account_type=AccountType.FUND, **often)
    with Serving(exchange, unified, fund) as serving:
        for name in ("products_up", "subaccount_equity_up", "withdrawals_up", "risk_frozen_up", "prices_up"):
            serving.wait_for(1.0, f"bybit_{name}")
        serving.wait_for(1.0, "bybit_api_key_up", account="fund")
        started_at = now()
        for step in range(1, 1 + STEPS):
            clock.jump(STEP_SECONDS)
            for account in ("main", "fund"):
                eventually(
                    lambda account=account, step=step: (  # type: ignore[misc]
                        (serving.value("bybit_polls_total", account=account) or 0.0) > step
                    )
                )
        polls = sum(serving.series("bybit_polls_total", "account").values())
        asked, minutes = paths_asked(serving), (now() - started_at) / 60
    assert asked[WALLET_BALANCE] + asked[COINS_BALANCE] == pytest.approx(polls, abs=2), (
        "one that runs may not be counted"
    )
    for path in (ASSET_OVERVIEW, MEMBERS_ASSETS, SUBMEMBERS, WITHDRAWALS, TICKERS):
        assert minutes - 2 <= asked[path] <= minutes + 2, path
    assert asked[WITHDRAWABLE_AMOUNT] == 2
    assert asked[KEY_INFO] == 2, "one for each entry"
    assert exchange.exceeded == {}
