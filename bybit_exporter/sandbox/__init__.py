"""The embedded exchange: an HTTP server on loopback that behaves as Bybit's v5 API, for ``--demo`` and tests.

It imports nothing of the exporter. Faults are in :mod:`bybit_exporter.sandbox.faults`, the demo's accounts in
:mod:`bybit_exporter.sandbox.demo`.
"""

from bybit_exporter.sandbox import faults
from bybit_exporter.sandbox.accounts import (
    BANNED,
    MEMBER_FROZEN,
    MEMBER_LOGIN_BANNED,
    MEMBER_NORMAL,
    NORMAL,
    Account,
    Member,
)
from bybit_exporter.sandbox.endpoints import (
    ACCOUNT_INFO,
    ASSET_INFO,
    COINS_BALANCE,
    KEY_INFO,
    SERVER_TIME,
    SUBMEMBERS,
    TICKERS,
    WALLET_BALANCE,
    WITHDRAWALS,
)
from bybit_exporter.sandbox.exchange import Exchange
from bybit_exporter.sandbox.keys import Key
from bybit_exporter.sandbox.limits import UNLIMITED, Limits, RateLimit
from bybit_exporter.sandbox.messages import Refusal, Request, Response
from bybit_exporter.sandbox.records import Ticker, Withdrawal
from bybit_exporter.sandbox.server import SandboxServer
from bybit_exporter.sandbox.wallets import FundingHolding, Holding, UnifiedHolding

__all__ = [
    "ACCOUNT_INFO",
    "ASSET_INFO",
    "BANNED",
    "COINS_BALANCE",
    "KEY_INFO",
    "MEMBER_FROZEN",
    "MEMBER_LOGIN_BANNED",
    "MEMBER_NORMAL",
    "NORMAL",
    "SERVER_TIME",
    "SUBMEMBERS",
    "TICKERS",
    "UNLIMITED",
    "WALLET_BALANCE",
    "WITHDRAWALS",
    "Account",
    "Exchange",
    "FundingHolding",
    "Holding",
    "Key",
    "Limits",
    "Member",
    "RateLimit",
    "Refusal",
    "Request",
    "Response",
    "SandboxServer",
    "Ticker",
    "UnifiedHolding",
    "Withdrawal",
    "faults",
]
