"""The plan for many accounts follows from its figures, and keeps to the limits it promises."""

from __future__ import annotations

import pytest

from bybit_exporter.config import ApiConfig
from bybit_exporter.sandbox.limits import Limits
from tools.scaling import PLANS, Plan, per_account

each_plan = pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.accounts} at {plan.interval} s")


def test_the_exporter_s_default_rate_is_below_the_limit_of_the_exchange() -> None:
    limit = Limits().ip
    assert limit is not None
    assert ApiConfig().max_requests_per_second < limit.requests / limit.seconds


def test_what_an_account_asks() -> None:
    assert per_account(30) == pytest.approx(1 / 30 + 1 / 3600)
    assert per_account(30, fund=True) == pytest.approx(1 / 30 + 1 / 3600 + 1 / 60 + 1 / 300)
    assert per_account(120, fund=True) == pytest.approx(2 / 120 + 1 / 3600 + 1 / 300)


@each_plan
def test_no_shard_comes_near_its_limit_and_no_address_to_its_own(plan: Plan) -> None:
    assert plan.fullest_per_second < 0.95 * plan.max_requests_per_second
    assert plan.per_second / plan.addresses <= 80
    assert plan.accounts / plan.shards <= 1000


@each_plan
def test_one_address_fewer_would_not_do(plan: Plan) -> None:
    assert plan.addresses == 1 or plan._per_second(plan.addresses - 1) > 80 * (plan.addresses - 1)
