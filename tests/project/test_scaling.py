"""The plan for many accounts follows from its figures, and keeps to the limits it promises."""

from __future__ import annotations

import math
import re

import pytest

from bybit_exporter.config import ApiConfig
from bybit_exporter.sandbox.limits import Limits
from tools.scaling import CPU_SECONDS, PLANS, SCALING, Plan, per_account

PERFORMANCE = SCALING.parent / "performance.md"
DEPLOY = SCALING.parents[1] / "deploy"
MANIFESTS = (
    "kubernetes/base/deployment.yaml",
    "kubernetes/components/shards/statefulset.yaml",
    "helm/bybit-exporter/values.yaml",
)

each_plan = pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.accounts} at {plan.interval} s")


def test_the_exporter_s_default_rate_is_below_the_limit_of_the_exchange() -> None:
    limit = Limits().ip
    assert limit is not None
    assert ApiConfig().max_requests_per_second < limit.requests / limit.seconds


def test_cpu_of_a_poll_is_the_measured_one() -> None:
    (measured,) = re.findall(r"^\| 1,000 \|.* ([\d.]+) ms \|", PERFORMANCE.read_text(), re.MULTILINE)
    assert float(measured) / 1000 == CPU_SECONDS
    text = SCALING.read_text()
    assert (
        f"| a poll costs | {1000 * CPU_SECONDS:g} ms of a core | so 80/s are {8000 * CPU_SECONDS:.0f} % of one;" in text
    )
    assert f"50 polls/s are {50_000 * CPU_SECONDS:.0f}m of a processor" in text


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_cpu_that_a_manifest_requests_suffices_for_what_the_document_says(manifest: str) -> None:
    (requested,) = re.findall(r"cpu: (\d+)m", (DEPLOY / manifest).read_text())
    polls = math.floor(int(requested) / 1000 / CPU_SECONDS)
    assert f"request {requested}m of a processor, which is enough for {polls} polls/s" in SCALING.read_text()


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
