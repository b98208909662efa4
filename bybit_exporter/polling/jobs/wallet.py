"""The job that polls an account: its balances and its status."""

from __future__ import annotations

from ...bybit.client import Answer, Client
from ...bybit.errors import BybitError, advice
from ...bybit.wallets import find_account_type, read_wallet
from ...model import Account, AccountSnapshot, AccountType, FailureReason, Resource
from .job import Job


class WalletJob(Job[AccountSnapshot]):
    """Polls the wallet of an account.

    For `AccountType.AUTO` it first asks for the account's type. It asks again after a refusal of that type.
    """

    resource = Resource.WALLET
    start_share = 0.5  # the rest is for retries and other jobs
    account_type: AccountType

    def __init__(self, account: Account) -> None:
        super().__init__(account, account.poll_interval_seconds)
        self.account_type = account.account_type

    def read(self, client: Client) -> Answer[AccountSnapshot]:
        if self.account_type is AccountType.AUTO:
            self.account_type = find_account_type(client, self.account)
        try:
            return read_wallet(client, self.account, self.account_type)
        except BybitError as error:
            if error.reason is not FailureReason.ACCOUNT_MODE or self.account.account_type is not AccountType.AUTO:
                raise
            refused, self.account_type = self.account_type, AccountType.AUTO
            found = find_account_type(client, self.account)
            if found is refused:
                raise
            self.account_type = found  # the account has been upgraded
        return read_wallet(client, self.account, found)

    def advice(self, error: BybitError) -> str:
        return advice(error, self.account.account_type)

    def stale_after_seconds(self, answer: Answer[AccountSnapshot]) -> float:
        return self.account.stale_after_seconds
