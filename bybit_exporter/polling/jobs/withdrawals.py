"""The job that reads the withdrawals under way of a funding wallet."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from ...bybit.client import Answer, Client
from ...bybit.errors import NO_PERMISSION
from ...bybit.withdrawals import read_withdrawals
from ...model import Resource
from .job import Job


class WithdrawalsJob(Job[Mapping[str, Decimal]]):
    """Reads the sum of the withdrawals under way by coin, if the key may read them."""

    resource = Resource.WITHDRAWALS
    unavailable_if = frozenset({NO_PERMISSION})

    def read(self, client: Client) -> Answer[Mapping[str, Decimal]]:
        return read_withdrawals(client, self.account)
