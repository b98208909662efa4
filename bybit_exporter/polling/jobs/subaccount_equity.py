"""The job that reads the value of all subaccounts."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ...bybit.client import Answer, Client
from ...bybit.errors import BybitError
from ...bybit.subaccount_equity import read_subaccount_equity
from ...model import STALE_AFTER_INTERVALS, JobResult, Resource, Subaccount, SubaccountEquity
from .job import NOT_OFFERED, Job
from .subaccounts import IDLE_SECONDS, SubaccountsJob


class SubaccountEquityJob(Job[Sequence[SubaccountEquity]]):
    """Reads the value of every wallet of every subaccount in one request, as often as their list.

    Regional accounts do not have this. Until the list is known, the job checks every second whether it is.
    """

    resource = Resource.SUBACCOUNT_EQUITY
    unavailable_if = NOT_OFFERED

    def __init__(self, subaccounts: SubaccountsJob) -> None:
        super().__init__(subaccounts.account, IDLE_SECONDS)
        self._subaccounts = subaccounts
        self._has_run = False

    @property
    def has_unread(self) -> bool:
        return self._subaccounts.latest is not None and not self._has_run

    def run(self, client: Client) -> JobResult[Sequence[SubaccountEquity]] | None:
        if self._subaccounts.latest is None:  # the answer has UIDs only, and the list has the names
            return None
        self._has_run = True
        return super().run(client)

    def stale_after_seconds(self, answer: Answer[Sequence[SubaccountEquity]]) -> float:
        return STALE_AFTER_INTERVALS * self._subaccounts.interval_seconds

    def delay_after_success(self, answer: Answer[Sequence[SubaccountEquity]]) -> float:
        return self.delay_to_run_in(self._subaccounts.interval_seconds)

    def delay_after_failure(self, error: BybitError, server_now: float) -> float:
        usual = self.delay_to_run_in(self._subaccounts.interval_seconds)
        return max(usual, super().delay_after_failure(error, server_now))

    def read(self, client: Client) -> Answer[Sequence[SubaccountEquity]]:
        answer = read_subaccount_equity(client, self.account)
        return answer.with_result(_named(answer.result, self._subaccounts.latest or ()))


def _named(equities: Sequence[SubaccountEquity], listed: Sequence[Subaccount]) -> Sequence[SubaccountEquity]:
    """The same with the name of each subaccount. One that is not listed yet has its UID as its name.

    Where that is the name of another one, it is left out: two series must not have the same labels.
    """
    names = {each.uid: each.name for each in listed}
    taken = set(names.values())
    return [
        replace(each, subaccount=names.get(each.uid, each.uid))
        for each in equities
        if each.uid in names or each.uid not in taken
    ]
