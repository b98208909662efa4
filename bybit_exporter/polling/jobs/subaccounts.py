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
        self._latest: Sequence[Subaccount] = ()
        self._expires_at = 0.0

    def read(self, client: Client) -> Answer[Sequence[Subaccount]]:
        answer = read_subaccounts(client, self.account)
        self._latest, self._expires_at = answer.result, answer.asked_at + self.stale_after_seconds(answer)
        return answer

    @property
    def is_current(self) -> bool:
        """Whether the list has been read, and has not expired."""
        return clock.now() < self._expires_at

    @property
    def is_known(self) -> bool:
        """Whether the list has been read, however long ago."""
        return self._expires_at > 0

    @property
    def latest(self) -> Sequence[Subaccount]:
        """The subaccounts of the latest reading, even if it has expired: their names hardly ever change."""
        return self._latest

    @property
    def current(self) -> Sequence[Subaccount]:
        """The subaccounts, for other jobs; none if the list is not current."""
        return self._latest if self.is_current else ()
