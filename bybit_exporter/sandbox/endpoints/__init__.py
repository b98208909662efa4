"""The API's endpoints: where each is, who answers, and how often one UID may ask."""

from __future__ import annotations

from collections.abc import Mapping

from bybit_exporter.sandbox.endpoints.market import server_time, tickers
from bybit_exporter.sandbox.endpoints.routes import PrivateRoute, PublicRoute
from bybit_exporter.sandbox.endpoints.users import account_info, key_info, submembers
from bybit_exporter.sandbox.endpoints.wallets import asset_info, coins_balance, wallet_balance
from bybit_exporter.sandbox.endpoints.withdrawals import withdrawals
from bybit_exporter.sandbox.limits import RateLimit

ASSET_INFO = "/v5/asset/transfer/query-asset-info"
WALLET_BALANCE = "/v5/account/wallet-balance"
COINS_BALANCE = "/v5/asset/transfer/query-account-coins-balance"
WITHDRAWALS = "/v5/asset/withdraw/query-record"
KEY_INFO = "/v5/user/query-api"
ACCOUNT_INFO = "/v5/account/info"
SUBMEMBERS = "/v5/user/submembers"
TICKERS = "/v5/market/tickers"
SERVER_TIME = "/v5/market/time"

_OF_MASTERS = ("AccountTransfer", "SubMemberTransfer", "Withdraw")

#: Every endpoint there is. The limits: https://bybit-exchange.github.io/docs/v5/rate-limit
ROUTES: Mapping[str, PublicRoute | PrivateRoute] = {
    ASSET_INFO: PrivateRoute(asset_info, RateLimit(60, 60.0)),
    WALLET_BALANCE: PrivateRoute(wallet_balance, RateLimit(50, 1.0)),
    COINS_BALANCE: PrivateRoute(coins_balance, RateLimit(5, 1.0)),
    WITHDRAWALS: PrivateRoute(withdrawals, RateLimit(300, 60.0), master_only=True),
    KEY_INFO: PrivateRoute(key_info, RateLimit(10, 1.0)),
    ACCOUNT_INFO: PrivateRoute(account_info, RateLimit(50, 1.0)),
    SUBMEMBERS: PrivateRoute(submembers, RateLimit(5, 1.0), master_only=True, wallet_permissions=_OF_MASTERS),
    TICKERS: PublicRoute(tickers),
    SERVER_TIME: PublicRoute(server_time),
}
