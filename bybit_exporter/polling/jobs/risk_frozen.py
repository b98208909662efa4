"""The job that reads the amount frozen because of risk."""

from __future__ import annotations

from decimal import Decimal

from ...bybit.client import Answer, Client
from ...bybit.errors import NO_PERMISSION
from ...bybit.risk_frozen import read_risk_frozen
from ...model import Resource
from .job import NOT_OFFERED, Job

INTERVAL_SECONDS = 300.0


class RiskFrozenJob(Job[Decimal]):
    """Reads the US dollars that cannot be withdrawn because of risk, if the key may read them."""

    resource = Resource.RISK_FROZEN
    unavailable_if = NOT_OFFERED | {NO_PERMISSION}

    def read(self, client: Client) -> Answer[Decimal]:
        return read_risk_frozen(client, self.account)
