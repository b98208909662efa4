"""The job that reads an account's assets outside its wallets."""

from __future__ import annotations

from ...bybit.client import Answer, Client
from ...bybit.products import read_products
from ...model import Products, Resource
from .job import NOT_OFFERED, Job


class ProductsJob(Job[Products]):
    """Reads Earn, trading bots, copy trading, loans and so on. Regional accounts and demo trading have none."""

    resource = Resource.PRODUCTS
    unavailable_if = NOT_OFFERED

    def read(self, client: Client) -> Answer[Products]:
        return read_products(client, self.account)
