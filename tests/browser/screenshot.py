"""Takes the README's picture of the status page: ``python -m tests.browser.screenshot``.

The accounts are the demo's, put through an hour and a bit on a clock of their own.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from bybit_exporter.bybit.api_key import read_api_key
from bybit_exporter.bybit.client import Answer, Client
from bybit_exporter.bybit.errors import BybitError
from bybit_exporter.bybit.prices import read_prices
from bybit_exporter.bybit.products import read_products
from bybit_exporter.bybit.rate_limiter import RateLimiter
from bybit_exporter.bybit.risk_frozen import read_risk_frozen
from bybit_exporter.bybit.server_clock import ServerClock
from bybit_exporter.bybit.subaccount_equity import read_subaccount_equity
from bybit_exporter.bybit.subaccounts import read_subaccounts
from bybit_exporter.bybit.transport import Response, Transport
from bybit_exporter.bybit.wallets import find_account_type, read_wallet
from bybit_exporter.bybit.withdrawals import read_withdrawals
from bybit_exporter.cli.demo import POLL_INTERVAL_SECONDS
from bybit_exporter.model import STALE_AFTER_INTERVALS, Account, AccountType, Resource, Secret, SubaccountEquity
from bybit_exporter.sandbox import Exchange, Request, handle
from bybit_exporter.sandbox.demo import configuration_of, demo_exchange
from tests.browser.chromium import Chromium
from tests.browser.site import Site
from tests.builders import make_failure
from tests.exporter_process import ROOT

PICTURE = ROOT / "docs" / "images" / "status-page.png"
VIEWPORT = {"width": 1100, "height": 800}

SHOWN_SECONDS = 4020.0
"""By then the account that is banned now and then is."""

PICTURED = ("trading", "vault", "banned-now-and-then", "group", "earn", "leveraged")
"""One account of each kind: all of them are too long for the README."""


class InProcess(Transport):
    """Asks the embedded exchange without a socket."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def get(self, path: str, query: str, headers: Mapping[str, str]) -> Response:
        sent = {name.lower(): value for name, value in headers.items()}
        answer = handle(self._exchange, Request("GET", path, query, sent))
        return Response(answer.status, answer.headers, answer.body, 0.0)


class Demo(Site):
    """The demo after so long, had it been polled all the time."""

    def __init__(self) -> None:
        stale_after = STALE_AFTER_INTERVALS * POLL_INTERVAL_SECONDS
        super().__init__(demo=True, earlier=SHOWN_SECONDS, stale_after=stale_after)
        exchange = demo_exchange(self.clock)
        rate_limiter = RateLimiter(1e9, sleep=lambda _: None)
        self.client = Client(InProcess(exchange), ServerClock(5.0, self.clock), rate_limiter, recv_window_seconds=5.0)
        rows = [row for row in configuration_of(exchange) if row["name"] in PICTURED]
        self.accounts = {row["name"]: self._account(row, stale_after) for row in rows}
        self.store.replace_accounts(self.accounts.values())
        while self.clock.now < time.time() - POLL_INTERVAL_SECONDS:  # the page shows the real time
            self.clock.now += POLL_INTERVAL_SECONDS
            for account in self.accounts.values():
                self._poll(account)
        for account in self.accounts.values():
            self._read_resources(account)
        self.apply(None, read_prices(self.client).result, Resource.PRICES)

    def _account(self, row: Mapping[str, str], stale_after: float) -> Account:
        secrets = Secret(row["api_key"]), Secret(row["api_secret"])
        account = Account(row["name"], AccountType(row["account_type"]), None, *secrets, stale_after / 3, stale_after)
        if account.account_type is AccountType.AUTO:
            account = dataclasses.replace(account, account_type=find_account_type(self.client, account))
        return dataclasses.replace(account, subaccounts="subaccounts" in row, products="products" in row)

    def _poll(self, account: Account) -> None:
        self._read(account, Resource.WALLET, lambda: read_wallet(self.client, account, account.account_type))
        if account.account_type is AccountType.FUND:
            self._read(account, Resource.WITHDRAWALS, lambda: read_withdrawals(self.client, account))

    def _read_resources(self, account: Account) -> None:
        if account.name != "banned-now-and-then":
            self._read(account, Resource.API_KEY, lambda: read_api_key(self.client, account))
        if account.account_type is AccountType.FUND:
            self._read(account, Resource.RISK_FROZEN, lambda: read_risk_frozen(self.client, account))
        if account.products:
            self._read(account, Resource.PRODUCTS, lambda: read_products(self.client, account))
        if account.subaccounts:
            self._read(account, Resource.SUBACCOUNTS, lambda: read_subaccounts(self.client, account))
            self._read(account, Resource.SUBACCOUNT_EQUITY, lambda: self._subaccount_equity(account))

    def _subaccount_equity(self, account: Account) -> Answer[Sequence[SubaccountEquity]]:
        names = {each.uid: each.name for each in self.store.cached(Resource.SUBACCOUNTS, account).value or ()}
        answer = read_subaccount_equity(self.client, account)
        return answer.with_result([replace(each, subaccount=names[each.uid]) for each in answer.result])

    def _read(self, account: Account, resource: Resource, read: Callable[[], Answer[Any]]) -> None:
        try:
            self.apply(account.name, read().result, resource)
        except BybitError as error:
            self.apply(account.name, make_failure(error.reason, str(error), advice=error.rule.advice), resource)


def main() -> None:
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    with Chromium() as browser:
        browser.open({})  # started by the time the clock of the site stands still
        take(browser)


def take(browser: Chromium) -> None:
    with Demo() as site:
        browser.visit(site.base_url, VIEWPORT)
        browser.screenshot(str(PICTURE), True)


if __name__ == "__main__":
    main()
