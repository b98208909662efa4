"""The job that lists the subaccounts of a master account."""

from __future__ import annotations

from collections.abc import Sequence

from ... import clock
from ...bybit.client import Answer, Client
from ...bybit.subaccounts import read_subaccounts
from ...model import Account, Resource, Subaccount
from .job import Job

IDLE_SECONDS = 1.0
"""How soon other jobs check again whether the list has been read."""


class SubaccountsJob(Job[Sequence[Subaccount]]):
    """Reads the subaccounts of a master account, and the status of each."""

    resource = Resource.SUBACCOUNTS

    def __init__(self, account: Account, interval_seconds: float) -> None:
        super().__init__(account, interval_seconds)
        self.latest: Sequence[Subaccount] | None = None
        """The subaccounts of the latest reading, even if it has expired: their names hardly ever change."""
        self._expires_at = 0.0

    def read(self, client: Client) -> Answer[Sequence[Subaccount]]:
        answer = read_subaccounts(client, self.account)
        self.latest, self._expires_at = answer.result, answer.asked_at + self.stale_after_seconds(answer)
        return answer

    @property
    def current(self) -> Sequence[Subaccount]:
        """The subaccounts; none if the list has not been read, or has expired."""
        return self.latest if self.latest and clock.now() < self._expires_at else ()
