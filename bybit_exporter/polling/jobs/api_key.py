"""The job that checks an account's API key."""

from __future__ import annotations

from ...bybit.api_key import read_api_key
from ...bybit.client import Answer, Client
from ...model import STALE_AFTER_INTERVALS, ApiKey, Resource
from .job import Job

CHECK_INTERVAL_SECONDS = 3600.0
RETRY_INTERVAL_SECONDS = 300.0


class ApiKeyJob(Job[ApiKey]):
    """Reads what a key may do and when it expires: every hour, and every 5 minutes while that fails."""

    resource = Resource.API_KEY
    start_share = 0.01  # low: checks that start together would run together every hour

    def read(self, client: Client) -> Answer[ApiKey]:
        return read_api_key(client, self.account)

    def stale_after_seconds(self, answer: Answer[ApiKey]) -> float:
        return STALE_AFTER_INTERVALS * CHECK_INTERVAL_SECONDS

    def delay_after_success(self, answer: Answer[ApiKey]) -> float:
        return self.delay_to_run_in(CHECK_INTERVAL_SECONDS)
