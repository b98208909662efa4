"""The job that lists the subaccounts of a master account."""

from __future__ import annotations

from collections.abc import Sequence

from ...bybit.client import Answer, Client
from ...bybit.subaccounts import read_subaccounts
from ...model import Resource, Subaccount
from .job import Job

IDLE_SECONDS = 1.0
"""How soon other jobs check again whether the list has been read."""


class SubaccountsJob(Job[Sequence[Subaccount]]):
    """Reads the subaccounts of a master account, and the status of each."""

    resource = Resource.SUBACCOUNTS

    latest: Sequence[Subaccount] | None = None
    """The subaccounts of the latest reading, even if it has expired: their names hardly ever change."""

    def read(self, client: Client) -> Answer[Sequence[Subaccount]]:
        answer = read_subaccounts(client, self.account)
        self.latest = answer.result
        return answer
