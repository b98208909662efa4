"""The jobs: a module for each kind of data that is read from the exchange.

A new job is a module with a subclass of `Job`, a line in `_jobs_of`, and rows in
`bybit_exporter.metrics.resource_families`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...model import Account, AccountType
from . import api_key, risk_frozen
from .api_key import ApiKeyJob
from .job import MIN_INTERVAL_SECONDS
from .job import Job as Job
from .prices import PricesJob
from .products import ProductsJob
from .risk_frozen import RiskFrozenJob
from .subaccount_balances import SubaccountBalancesJob
from .subaccount_equity import SubaccountEquityJob
from .subaccounts import SubaccountsJob
from .wallet import WalletJob
from .withdrawals import WithdrawalsJob


def create_jobs(accounts: Sequence[Account], prices_interval_seconds: float | None) -> list[Job[Any]]:
    """Creates all jobs for these accounts, and the job for prices unless the interval is None. Polls come first."""
    jobs: list[Job[Any]] = [WalletJob(account) for account in accounts]
    if prices_interval_seconds is not None:
        jobs.append(PricesJob(None, prices_interval_seconds))
    for account in accounts:
        jobs += _jobs_of(account)
    return jobs


def _jobs_of(account: Account) -> Iterator[Job[Any]]:
    """All jobs of this account except the poll."""
    interval = max(MIN_INTERVAL_SECONDS, account.poll_interval_seconds)
    if account.account_type is AccountType.FUND:
        yield WithdrawalsJob(account, interval)
        yield RiskFrozenJob(account, max(risk_frozen.INTERVAL_SECONDS, account.poll_interval_seconds))
    if account.products:
        yield ProductsJob(account, interval)
    if account.subaccounts:
        subaccounts = SubaccountsJob(account, interval)
        yield subaccounts
        yield SubaccountEquityJob(subaccounts)
        if account.subaccount_balances:
            yield SubaccountBalancesJob(subaccounts)
    yield ApiKeyJob(account, api_key.RETRY_INTERVAL_SECONDS)
