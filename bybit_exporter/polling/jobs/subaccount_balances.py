"""The job that reads the funding balances of subaccounts, one subaccount in each run."""

from __future__ import annotations

from collections.abc import Sequence

from ... import clock
from ...bybit.client import Answer, Client
from ...bybit.errors import MEMBER_GONE, BybitError, RetryPolicy
from ...bybit.paging import PAUSE_SECONDS
from ...bybit.subaccounts import read_subaccount_balances
from ...model import STALE_AFTER_INTERVALS, Balance, JobResult, Resource, Subaccount
from .job import MIN_INTERVAL_SECONDS, Job
from .subaccounts import IDLE_SECONDS, SubaccountsJob

LIMIT_SECONDS = 1.0
"""The limit on the endpoint is per second."""

RESERVED_REQUESTS = 1
"""Requests to the endpoint that are reserved for the polls of a funding account."""


class SubaccountBalancesJob(Job[Sequence[Balance]]):
    """Reads the funding balance of the subaccount that was due first, each at most once a minute."""

    resource = Resource.SUBACCOUNT_BALANCES
    unavailable_if = frozenset({MEMBER_GONE})

    def __init__(self, subaccounts: SubaccountsJob) -> None:
        super().__init__(subaccounts.account, PAUSE_SECONDS)
        self._subaccounts = subaccounts
        self._due_at: dict[str, float] = {}
        """When each subaccount is due (staleness clock), by UID; 0: it has not been read yet."""
        self._run_seconds: dict[str, float] = {}
        """How long the latest run for each subaccount took, with the wait for the limit, by UID."""
        self._latest: Subaccount | None = None

    @property
    def has_unread(self) -> bool:
        """Whether there is a subaccount that has not been read yet."""
        return any(not self._due_at.get(each.uid) for each in self._subaccounts.latest or ())

    def run(self, client: Client) -> JobResult[Sequence[Balance]] | None:
        members = self._subaccounts.latest or ()
        self._due_at = {each.uid: self._due_at.get(each.uid, 0.0) for each in members}
        self._latest = min(members, key=lambda each: self._due_at[each.uid], default=None)
        if self._latest is None or self._due_at[self._latest.uid] > clock.now():
            return None
        self._due_at[self._latest.uid] = clock.now() + MIN_INTERVAL_SECONDS
        self.subaccount = self._latest.name
        result = super().run(client)
        if result is not None:
            took = result.duration_seconds + min(result.delay_seconds, LIMIT_SECONDS)
            self._run_seconds[self._latest.uid] = min(took, MIN_INTERVAL_SECONDS)  # the machine may have been suspended
        return result

    def read(self, client: Client) -> Answer[Sequence[Balance]]:
        assert self._latest is not None
        return read_subaccount_balances(client, self.account, self._latest.uid)

    def stale_after_seconds(self, answer: Answer[Sequence[Balance]]) -> float:
        """Three rounds of all subaccounts, as long as their latest runs took."""
        round_seconds = sum(max(PAUSE_SECONDS, self._run_seconds.get(uid, 0.0)) for uid in self._due_at)
        return STALE_AFTER_INTERVALS * max(MIN_INTERVAL_SECONDS, round_seconds)

    def delay_after_success(self, answer: Answer[Sequence[Balance]]) -> float:
        return self._delay(answer)

    def delay_after_failure(self, error: BybitError, server_now: float) -> float:
        """A refusal of one subaccount delays only that one. A refusal of the key, or a rate limit, delays all."""
        wait = error.wait_seconds(server_now)
        if error.rule.retry is RetryPolicy.AFTER_RESET or error.refuses_key:
            return wait
        if self._latest is not None and error.rule.retry is RetryPolicy.SLOW_RETRY:
            self._due_at[self._latest.uid] = clock.now() + wait
        return self._delay(error)

    def idle_seconds(self) -> float:
        return max(0.0, min(self._due_at.values(), default=clock.now() + IDLE_SECONDS) - clock.now())

    def _delay(self, outcome: Answer[Sequence[Balance]] | BybitError) -> float:
        if any(limit.remaining <= RESERVED_REQUESTS for limit in outcome.rate_limits.values()):
            return LIMIT_SECONDS
        return self.idle_seconds()
