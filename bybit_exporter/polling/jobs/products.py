"""The job that reads an account's assets outside its wallets."""

from __future__ import annotations

from ...bybit.client import Answer, Client
from ...bybit.products import read_products
from ...model import FailureReason, Products, Resource
from .job import Job


class ProductsJob(Job[Products]):
    """Reads Earn, trading bots, copy trading, loans and so on. Regional accounts and demo trading have none."""

    resource = Resource.PRODUCTS
    unavailable_if = frozenset({FailureReason.ACCOUNT_MODE, FailureReason.REGION})

    def read(self, client: Client) -> Answer[Products]:
        return read_products(client, self.account)
