"""The jobs: requests, results and delays. The exchange is a function, and the clock is a number."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from bybit_exporter import clock
from bybit_exporter.bybit.client import Answer, Client
from bybit_exporter.bybit.errors import (
    API,
    IP_RATE_LIMIT,
    MALFORMED,
    MEMBER_GONE,
    NETWORK,
    RATE_LIMIT,
    SLOW_RETRY_SECONDS,
    BybitError,
    rule_for_ret_code,
)
from bybit_exporter.model import (
    AccountType,
    Balance,
    Failure,
    FailureReason,
    JobResult,
    RateLimit,
    Resource,
    Subaccount,
    SubaccountEquity,
    SubaccountStatus,
)
from bybit_exporter.polling.jobs import (
    create_jobs,
    subaccount_balances,
    subaccount_equity,
    subaccounts,
    wallet,
    withdrawals,
)
from bybit_exporter.polling.jobs.api_key import CHECK_INTERVAL_SECONDS, ApiKeyJob
from bybit_exporter.polling.jobs.job import MIN_INTERVAL_SECONDS, Job
from bybit_exporter.polling.jobs.products import ProductsJob
from bybit_exporter.polling.jobs.risk_frozen import RiskFrozenJob
from bybit_exporter.polling.jobs.subaccount_balances import SubaccountBalancesJob
from bybit_exporter.polling.jobs.subaccount_equity import SubaccountEquityJob
from bybit_exporter.polling.jobs.subaccounts import SubaccountsJob
from bybit_exporter.polling.jobs.wallet import WalletJob
from bybit_exporter.polling.jobs.withdrawals import WithdrawalsJob
from tests.builders import make_account, make_snapshot
from tests.support import FakeClock

MASTER = make_account("master", AccountType.UNIFIED, subaccounts=True, subaccount_balances=True)
COINS_BALANCE = "/v5/asset/transfer/query-account-coins-balance"
CLIENT: Any = SimpleNamespace(clock=SimpleNamespace(now=lambda: 0.0))
"""The parts of a client that a job needs if its reader is a function."""


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock(1000.0)
    monkeypatch.setattr(clock, "now", fake)
    return fake


def answer(result: Any, asked_at: float = 1000.0, lasted: float = 0.0, **limits: RateLimit) -> Answer[Any]:
    return Answer(result, limits, asked_at, asked_at + lasted)


def refusal(code: int) -> BybitError:
    return BybitError(rule_for_ret_code(code), f"retCode {code}", code=f"retCode {code}")


class Reading(Job[Any]):
    """A job that reads with a function of the test."""

    resource = Resource.PRODUCTS

    def __init__(self, read: Callable[[], Answer[Any]], interval_seconds: float = MIN_INTERVAL_SECONDS) -> None:
        super().__init__(MASTER, interval_seconds)
        self._read = read

    def read(self, client: Client) -> Answer[Any]:
        return self._read()


def raising(error: BaseException) -> Callable[..., Any]:
    def read(*_: object) -> Any:
        raise error

    return read


def failure_of(result: JobResult[Any] | None) -> Failure:
    assert result is not None
    assert isinstance(result.outcome, Failure)
    return result.outcome


def test_result_has_the_age_of_the_request(now: FakeClock) -> None:
    result = Reading(lambda: answer(5, 990.0, 4.0)).run(CLIENT)
    assert result is not None
    assert (result.outcome, result.observed_at, result.ended_at, result.failure) == (5, 990.0, 994.0, None)


@pytest.mark.parametrize(("lasted", "stale_after"), [(5.0, 180.0), (100.0, 300.0)])
def test_value_that_takes_longer_than_the_interval_to_read_is_shown_until_it_is_read_again(
    now: FakeClock, lasted: float, stale_after: float
) -> None:
    result = Reading(lambda: answer(5, 1000.0, lasted)).run(CLIENT)
    assert result is not None
    assert result.stale_after_seconds == stale_after


def test_exception_in_the_exporter_is_an_internal_failure_with_its_cause(now: FakeClock) -> None:
    error = ValueError("what")
    failure = failure_of(Reading(raising(error)).run(CLIENT))
    assert (failure.reason, failure.cause, failure.needs_operator) == (FailureReason.INTERNAL, error, True)


@pytest.mark.parametrize(
    "text", ["error sign! origin_string[1658384314791CANARYKEY5000accountType=SPOT]", "x" * 92 + "CANARYKEY"]
)
def test_key_that_the_exchange_repeats_is_redacted_whatever_is_read(text: str) -> None:
    vault = make_account("vault", AccountType.FUND, products=True)
    jobs = [*create_jobs([MASTER, vault], None), Reading(raising(AssertionError()))]
    assert len({type(job) for job in jobs}) == 9
    for job in jobs:
        message = job.failure_of(BybitError(API, "retCode 10004", received_text=text)).message
        assert message.startswith(f'retCode 10004: "{text[:20]}')
        assert "CANAR" not in message


def test_key_is_redacted_in_the_result_of_a_run(now: FakeClock) -> None:
    error = BybitError(API, "retCode 10004", received_text="origin_string[CANARYKEY5000]")
    assert failure_of(Reading(raising(error)).run(CLIENT)).message == 'retCode 10004: "origin_string[***5000]"'


def test_pause_of_all_requests_delays_no_single_job(now: FakeClock) -> None:
    result = Reading(raising(BybitError(IP_RATE_LIMIT, "too frequent"))).run(CLIENT)
    assert result is not None
    assert (result.pauses_all, result.delay_seconds) == (True, 0.0)


@pytest.mark.parametrize(
    ("job", "code", "is_unavailable"),
    [
        (WithdrawalsJob(MASTER, 60.0), 10005, True),
        (WithdrawalsJob(MASTER, 60.0), 10003, False),
        (ProductsJob(MASTER, 60.0), 10017, True),
        (ProductsJob(MASTER, 60.0), 10024, True),
        (ProductsJob(MASTER, 60.0), 10005, False),
        (RiskFrozenJob(MASTER, 300.0), 10005, True),
        (RiskFrozenJob(MASTER, 300.0), 10017, True),
        (RiskFrozenJob(MASTER, 300.0), 10016, False),
        (SubaccountEquityJob(SubaccountsJob(MASTER, 60.0)), 10017, True),
        (SubaccountEquityJob(SubaccountsJob(MASTER, 60.0)), 10005, False),
        (ApiKeyJob(MASTER, 300.0), 10005, False),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Job) else str(each),
)
def test_failure_is_unavailable_where_the_exchange_does_not_offer_it(
    job: Job[Any], code: int, is_unavailable: bool
) -> None:
    assert job.failure_of(refusal(code)).is_unavailable is is_unavailable


def test_resource_that_was_read_once_is_not_unavailable_later(now: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: list[Any] = [BybitError(NETWORK, ""), refusal(10005), answer({}), refusal(10005), refusal(10005)]

    def read(*_: object) -> Any:
        outcome = outcomes.pop(0)
        if isinstance(outcome, BybitError):
            raise outcome
        return outcome

    monkeypatch.setattr(withdrawals, "read_withdrawals", read)
    job = WithdrawalsJob(MASTER, 60.0)
    failures = [result.failure for _ in range(5) if (result := job.run(CLIENT))]
    is_unavailable = [failure and failure.is_unavailable for failure in failures]
    assert is_unavailable == [False, True, None, False, False], "before it was read, it may be unavailable"


def test_key_is_checked_hourly_and_after_a_failure_in_5_minutes() -> None:
    (job,) = (each for each in create_jobs([MASTER], None) if isinstance(each, ApiKeyJob))
    grid = [300.0 * n for n in range(20)]
    delay = job.delay_after_success(answer(None))
    assert next(moment for moment in grid if moment > delay) == CHECK_INTERVAL_SECONDS
    assert job.delay_after_failure(BybitError(NETWORK, ""), 0.0) == 0.0


# The type of an account


def test_wallet_type_is_asked_for_until_it_is_found_and_again_after_a_refusal(
    now: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    outcomes: list[Any] = [refusal(10016), AccountType.SPOT, make_snapshot(), make_snapshot(), refusal(10008)]
    outcomes += [AccountType.UNIFIED, make_snapshot(), refusal(10008), AccountType.UNIFIED]

    def read(name: str) -> Any:
        asked.append(name)
        outcome = outcomes.pop(0)
        if isinstance(outcome, BybitError):
            raise outcome
        return outcome

    monkeypatch.setattr(wallet, "find_account_type", lambda *_: read("type"))
    monkeypatch.setattr(wallet, "read_wallet", lambda client, account, kind: answer(read(kind)))
    job = WalletJob(make_account(account_type=AccountType.AUTO))
    results = [job.run(CLIENT) for _ in range(5)]
    assert asked == ["type", "type", "SPOT", "SPOT", "SPOT", "type", "UNIFIED", "UNIFIED", "type"]
    assert [(result.account_type, result.failure is None) for result in results if result] == [
        ("auto", False),
        ("SPOT", True),
        ("SPOT", True),
        ("UNIFIED", True),  # upgraded: at once
        ("auto", False),  # still of the type that is refused: not in a loop
    ]


# Subaccounts


class BalancesRuns:
    """Runs the job of the subaccounts' balances, one run at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: FakeClock, *members: str) -> None:
        self.clock = now
        self.asked: list[str] = []
        self.remaining = 4
        self.lasts = 0.0
        self.fails: dict[str, BybitError] = {}
        self.members = members
        monkeypatch.setattr(subaccounts, "read_subaccounts", lambda *_: answer(self.listed, now.now))
        monkeypatch.setattr(subaccount_balances, "read_subaccount_balances", self._read)
        self.subaccounts = SubaccountsJob(MASTER, MIN_INTERVAL_SECONDS)
        self.job = SubaccountBalancesJob(self.subaccounts)
        self.set_members(*members)

    @property
    def listed(self) -> list[Subaccount]:
        return [Subaccount(name, name, SubaccountStatus.NORMAL, "1") for name in self.members]

    def set_members(self, *members: str) -> None:
        self.members = members
        self.subaccounts.run(CLIENT)

    def _read(self, _: Client, account: object, uid: str) -> Answer[Sequence[Balance]]:
        self.asked.append(uid)
        if uid in self.fails:
            raise self.fails[uid]
        asked_at, self.clock.now = self.clock.now, self.clock.now + self.lasts
        return Answer((), {COINS_BALANCE: RateLimit(5, self.remaining)}, asked_at, self.clock.now)

    def run(self) -> float:
        """Runs the job once. Returns the delay until its next run."""
        result = self.job.run(CLIENT)
        return result.delay_seconds if result else self.job.idle_seconds()


MakeBalances = Callable[..., BalancesRuns]


@pytest.fixture
def make_balances(monkeypatch: pytest.MonkeyPatch, now: FakeClock) -> MakeBalances:
    return lambda *members: BalancesRuns(monkeypatch, now, *members)


def test_balances_are_read_one_after_the_other_and_then_all_wait(make_balances: MakeBalances) -> None:
    of_three = make_balances("a", "b", "c")
    assert of_three.job.has_unread
    waits = []
    for _ in range(3):
        waits.append(of_three.run())
        of_three.clock.now += 0.4
    assert of_three.asked == ["a", "b", "c"]
    assert not of_three.job.has_unread
    assert max(waits[:2]) <= 0, "the others are due"
    assert waits[2] == pytest.approx(MIN_INTERVAL_SECONDS - 0.8)
    of_three.run()
    assert len(of_three.asked) == 3, "none is due"
    of_three.clock.now += MIN_INTERVAL_SECONDS
    of_three.run()
    assert of_three.asked[3:] == ["a"]


def test_balance_of_a_new_subaccount_is_next(make_balances: MakeBalances) -> None:
    changing = make_balances("a", "b")
    changing.run()
    changing.run()
    changing.set_members("b", "c")
    changing.run()
    assert changing.asked == ["a", "b", "c"]


def test_balances_are_read_to_the_end_though_the_list_has_expired(make_balances: MakeBalances) -> None:
    """``--once`` reads the list only once, and a round may take longer than the list is valid."""
    of_three = make_balances("a", "b", "c")
    while of_three.job.has_unread:
        of_three.run()
        of_three.clock.now += 1000.0
    assert of_three.asked == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("lasts", "remaining", "round_seconds"),
    [(0.1, 4, 80.0), (1.25, 4, 250.0), (0.25, 1, 250.0), (1.0, 1, 400.0), (1e4, 4, 12_000.0)],
)
def test_balances_are_shown_for_three_rounds_as_long_as_the_last_one(
    make_balances: MakeBalances, lasts: float, remaining: int, round_seconds: float
) -> None:
    """A round takes longer if requests are slow, or if others use up the limit; a suspended machine does not count."""
    many = make_balances(*(str(number) for number in range(200)))
    many.lasts, many.remaining = lasts, remaining
    for _ in range(200):
        many.run()
    many.clock.now += 2 * MIN_INTERVAL_SECONDS
    result = many.job.run(CLIENT)
    assert result
    assert result.stale_after_seconds == pytest.approx(3 * round_seconds, rel=0.01)


def test_balances_without_subaccounts_wait_a_second(make_balances: MakeBalances) -> None:
    none = make_balances()
    assert none.run() == pytest.approx(1.0)
    assert none.asked == []


def test_balances_leave_a_part_of_the_limit_to_polls(make_balances: MakeBalances) -> None:
    used_up = make_balances("a", "b", "c")
    used_up.remaining = 2
    assert used_up.run() <= 0
    used_up.remaining = 1
    assert used_up.run() == 1.0


def test_refusal_of_one_balance_delays_that_one(make_balances: MakeBalances) -> None:
    refused = make_balances("a", "b")
    refused.fails["a"] = refusal(10005)
    assert refused.run() <= 0
    refused.run()
    assert refused.asked == ["a", "b"]
    refused.clock.now += MIN_INTERVAL_SECONDS
    refused.run()
    assert refused.asked[2:] == ["b"], "a refusal is not repeated each minute"
    refused.clock.now += SLOW_RETRY_SECONDS
    refused.run()
    refused.run()
    assert refused.asked[3:] == ["b", "a"]


@pytest.mark.parametrize("code", [10003, 10004, 10007, 10010, 33004])
def test_refusal_of_the_key_delays_all_balances(make_balances: MakeBalances, code: int) -> None:
    """Otherwise a dead key would be used two or three times a second."""
    dead = make_balances("a", "b")
    dead.fails["a"] = refusal(code)
    assert dead.run() == SLOW_RETRY_SECONDS


def test_limit_delays_all_balances_until_it_resets(make_balances: MakeBalances) -> None:
    limited = make_balances("a", "b")
    limited.fails["a"] = BybitError(RATE_LIMIT, "retCode 10006", reset_at_ms=2500)
    assert limited.run() == 2.5


def test_subaccount_that_is_gone_has_no_balance(make_balances: MakeBalances) -> None:
    leaving = make_balances("b", "a")
    leaving.run()
    leaving.fails["a"] = BybitError(MEMBER_GONE, "retCode 131202")
    result = leaving.job.run(CLIENT)
    assert failure_of(result).is_unavailable
    assert result
    assert result.subaccount == "a"


def test_equity_is_asked_for_when_the_names_are_known(make_balances: MakeBalances, monkeypatch: Any) -> None:
    known = make_balances("a")
    equity = SubaccountEquity("a", "FUND", Decimal(5))
    monkeypatch.setattr(subaccount_equity, "read_subaccount_equity", lambda *_: answer([equity, equity]))
    unknown = SubaccountEquityJob(SubaccountsJob(MASTER, 60.0))
    assert not unknown.has_unread
    assert unknown.run(CLIENT) is None
    job = SubaccountEquityJob(known.subaccounts)
    assert job.has_unread
    result = job.run(CLIENT)
    assert result
    assert not isinstance(result.outcome, Failure)
    assert [each.subaccount for each in result.outcome] == ["a", "a"]
    assert not job.has_unread
    assert result.delay_seconds == known.subaccounts.interval_seconds - 0.5
    assert result.stale_after_seconds == 3 * known.subaccounts.interval_seconds


def test_equity_that_cannot_be_read_is_asked_for_as_seldom(make_balances: MakeBalances, monkeypatch: Any) -> None:
    def fail(*_: object) -> None:
        raise BybitError(MALFORMED, "list: missing")

    monkeypatch.setattr(subaccount_equity, "read_subaccount_equity", fail)
    known = make_balances("a")
    result = SubaccountEquityJob(known.subaccounts).run(CLIENT)
    assert result
    assert result.delay_seconds == known.subaccounts.interval_seconds - 0.5


# All jobs


def test_jobs_of_each_kind_of_account() -> None:
    def jobs(account_type: AccountType, prices: float | None = None, **more: bool) -> list[tuple[str, float]]:
        account = make_account("a", account_type, poll_interval_seconds=90.0, **more)
        return [(job.resource.value, job.interval_seconds) for job in create_jobs([account], prices)]

    poll, key = ("account", 90.0), ("key", 300.0)
    for account_type in (AccountType.SPOT, AccountType.UNIFIED, AccountType.AUTO):
        assert jobs(account_type) == [poll, key]
    assert jobs(AccountType.FUND) == [poll, ("withdrawals", 90.0), ("funds held back", 300.0), key]
    assert jobs(AccountType.UNIFIED, 5.0) == [poll, ("prices", 5.0), key]
    assert jobs(AccountType.UNIFIED, products=True) == [poll, ("products", 90.0), key]
    members = [("subaccounts", 90.0), ("equity of subaccounts", 1.0)]
    assert jobs(AccountType.UNIFIED, subaccounts=True) == [poll, *members, key]
    with_balances = jobs(AccountType.UNIFIED, subaccounts=True, subaccount_balances=True)
    assert with_balances == [poll, *members, ("balances of subaccounts", 0.4), key]


def test_jobs_begin_with_the_polls() -> None:
    jobs = create_jobs([MASTER, make_account("b", AccountType.FUND)], 60.0)
    assert [job.resource is Resource.WALLET for job in jobs] == [True, True] + [False] * (len(jobs) - 2)
    assert len({job.key for job in jobs}) == len(jobs)


def test_jobs_are_equal_if_they_read_the_same() -> None:
    assert WalletJob(MASTER) == WalletJob(dataclasses.replace(MASTER))
    assert WalletJob(MASTER) != WalletJob(make_account("master", AccountType.UNIFIED))
    assert ProductsJob(MASTER, 60.0) != ProductsJob(MASTER, 61.0)


@pytest.mark.parametrize("interval", [10.0, 60.0, 200.0, 300.0])
def test_refusal_that_lasts_is_asked_again_at_the_run_nearest_to_5_minutes(interval: float) -> None:
    delay = Reading(raising(refusal(10003)), interval).delay_after_failure(refusal(10003), 0.0)
    ended_at = 0.2
    next_run = interval * (math.floor((ended_at + delay) / interval) + 1)
    assert abs(next_run - SLOW_RETRY_SECONDS) <= interval / 2
