"""The embedded exchange: an HTTP server on loopback that answers as Bybit's v5 API, for ``--demo`` and tests.

It imports nothing of the exporter.

- ``exchange``: the state (accounts, prices, clock); ``holders``, ``wallets``, ``records``, ``keys`` are parts of it
- ``valuation`` and ``margin``: figures computed from it, in USD
- ``endpoints``: one handler for each endpoint, and the table of paths and limits
- ``api``: authentication, limits and the envelope; ``limits`` and ``messages`` belong to it
- ``server``: HTTP on loopback; ``faults``: what can go wrong with an answer
- ``demo``: the accounts of ``--demo``
"""

from bybit_exporter.sandbox import faults
from bybit_exporter.sandbox.api import fault_for, handle
from bybit_exporter.sandbox.endpoints import (
    ACCOUNT_INFO,
    ASSET_INFO,
    ASSET_OVERVIEW,
    COINS_BALANCE,
    KEY_INFO,
    MEMBERS_ASSETS,
    NOT_IN_DEMO_TRADING,
    NOT_IN_REGIONS,
    SERVER_TIME,
    SUBMEMBERS,
    TICKERS,
    WALLET_BALANCE,
    WITHDRAWABLE_AMOUNT,
    WITHDRAWALS,
)
from bybit_exporter.sandbox.exchange import BANNED, NORMAL, Account, Exchange
from bybit_exporter.sandbox.holders import MEMBER_FROZEN, MEMBER_LOGIN_BANNED, MEMBER_NORMAL, Member
from bybit_exporter.sandbox.keys import Key
from bybit_exporter.sandbox.limits import UNLIMITED, Limits, RateLimit
from bybit_exporter.sandbox.margin import MarginMode
from bybit_exporter.sandbox.messages import Refusal, Request, Response
from bybit_exporter.sandbox.records import Product, Ticker, Withdrawal
from bybit_exporter.sandbox.server import SandboxServer
from bybit_exporter.sandbox.wallets import FundingHolding, Holding, UnifiedHolding

__all__ = [
    "ACCOUNT_INFO",
    "ASSET_INFO",
    "ASSET_OVERVIEW",
    "BANNED",
    "COINS_BALANCE",
    "KEY_INFO",
    "MEMBERS_ASSETS",
    "MEMBER_FROZEN",
    "MEMBER_LOGIN_BANNED",
    "MEMBER_NORMAL",
    "NORMAL",
    "NOT_IN_DEMO_TRADING",
    "NOT_IN_REGIONS",
    "SERVER_TIME",
    "SUBMEMBERS",
    "TICKERS",
    "UNLIMITED",
    "WALLET_BALANCE",
    "WITHDRAWABLE_AMOUNT",
    "WITHDRAWALS",
    "Account",
    "Exchange",
    "FundingHolding",
    "Holding",
    "Key",
    "Limits",
    "MarginMode",
    "Member",
    "Product",
    "RateLimit",
    "Refusal",
    "Request",
    "Response",
    "SandboxServer",
    "Ticker",
    "UnifiedHolding",
    "Withdrawal",
    "fault_for",
    "faults",
    "handle",
]
