"""The job that reads the prices of all coins."""

from __future__ import annotations

from ...bybit.client import Answer, Client
from ...bybit.prices import read_prices
from ...model import MarketPrices, Resource
from .job import Job


class PricesJob(Job[MarketPrices]):
    """Reads the prices of all coins. Needs no key."""

    resource = Resource.PRICES

    def read(self, client: Client) -> Answer[MarketPrices]:
        return read_prices(client)
