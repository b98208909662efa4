"""The endpoints of the API: path, handler and rate limit of each."""

from __future__ import annotations

from collections.abc import Mapping

from bybit_exporter.sandbox.endpoints.assets import asset_overview, withdrawable_amount
from bybit_exporter.sandbox.endpoints.market import server_time, tickers
from bybit_exporter.sandbox.endpoints.members import submembers, total_members_assets
from bybit_exporter.sandbox.endpoints.routes import PrivateRoute, PublicRoute
from bybit_exporter.sandbox.endpoints.users import account_info, key_info
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
ASSET_OVERVIEW = "/v5/asset/asset-overview"
MEMBERS_ASSETS = "/v5/asset/total-members-assets"
WITHDRAWABLE_AMOUNT = "/v5/asset/withdraw/withdrawable-amount"
TICKERS = "/v5/market/tickers"
SERVER_TIME = "/v5/market/time"

#: What regional hosts (Kazakhstan, Georgia, EEA, …) lack: for ``exchange.missing_paths`` or ``account.missing_paths``.
NOT_IN_REGIONS = frozenset({ASSET_OVERVIEW})

#: What the demo trading environment lacks: the funding wallet, withdrawals, subaccounts and products.
NOT_IN_DEMO_TRADING = frozenset(
    {ASSET_INFO, COINS_BALANCE, WITHDRAWALS, WITHDRAWABLE_AMOUNT, SUBMEMBERS, MEMBERS_ASSETS, ASSET_OVERVIEW}
)

_LISTS_MEMBERS = ("AccountTransfer", "SubMemberTransfer", "Withdraw")

#: Every endpoint. The limits: https://bybit-exchange.github.io/docs/v5/rate-limit
ROUTES: Mapping[str, PublicRoute | PrivateRoute] = {
    ASSET_INFO: PrivateRoute(asset_info, RateLimit(60, 60.0)),
    WALLET_BALANCE: PrivateRoute(wallet_balance, RateLimit(50, 1.0)),
    COINS_BALANCE: PrivateRoute(coins_balance, RateLimit(5, 1.0)),
    WITHDRAWALS: PrivateRoute(withdrawals, RateLimit(300, 60.0), master_only=True),
    KEY_INFO: PrivateRoute(key_info, RateLimit(10, 1.0)),
    ACCOUNT_INFO: PrivateRoute(account_info, RateLimit(50, 1.0)),
    SUBMEMBERS: PrivateRoute(submembers, RateLimit(5, 1.0), master_only=True, wallet_permissions=_LISTS_MEMBERS),
    ASSET_OVERVIEW: PrivateRoute(asset_overview, RateLimit(50, 1.0)),
    MEMBERS_ASSETS: PrivateRoute(total_members_assets, RateLimit(50, 1.0), master_only=True),
    WITHDRAWABLE_AMOUNT: PrivateRoute(withdrawable_amount, RateLimit(300, 1.0)),
    TICKERS: PublicRoute(tickers),
    SERVER_TIME: PublicRoute(server_time),
}
