"""Four shards on addresses of their own, in small; `make simulation` is the same with 5,000 accounts."""

from __future__ import annotations

import pytest

from bench.simulation import Plan, Result, problems, simulate
from bybit_exporter.sandbox.limits import RateLimit
from bybit_exporter.sharding import shard_of

PLAN = Plan(accounts=400, interval_seconds=5, rounds=3, limit=RateLimit(200, 5.0))
"""80 requests a second, of which an address may send 40: one alone does not do."""

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def result() -> Result:
    return simulate(PLAN)


def test_every_account_is_asked_in_time_by_one_shard_and_none_is_refused(result: Result) -> None:
    assert problems(result) == []


def test_the_exchange_was_asked_by_whom_the_hash_says(result: Result) -> None:
    for name, asked in result.by_account.items():
        assert {each.source for each in asked} == {PLAN.source_address(shard_of(name, PLAN.shards))}


def test_the_shards_counted_what_the_exchange_saw(result: Result) -> None:
    seen = sum(map(len, result.by_account.values()))
    last_scrape_seconds = 2.0
    under_way = PLAN.accounts / PLAN.interval_seconds * last_scrape_seconds
    assert seen - under_way <= result.total("bybit_polls_total") <= seen


def test_behind_one_address_the_same_accounts_are_too_many() -> None:
    """Otherwise the exchange of the simulation would enforce nothing."""
    plan = Plan(
        PLAN.accounts, PLAN.interval_seconds, rounds=1, limit=PLAN.limit, addresses=False, ready_within_seconds=10
    )
    assert any("were refused" in problem for problem in problems(simulate(plan)))
