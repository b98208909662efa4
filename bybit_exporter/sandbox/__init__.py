"""The embedded exchange: an HTTP server on loopback that behaves as Bybit's v5 API, for ``--demo`` and tests.

It imports nothing of the exporter. Faults are in :mod:`bybit_exporter.sandbox.faults`, the demo's accounts in
:mod:`bybit_exporter.sandbox.demo`.
"""

from bybit_exporter.sandbox import faults
from bybit_exporter.sandbox.accounts import BANNED, NORMAL, Account, Holding
from bybit_exporter.sandbox.exchange import ASSET_INFO, SERVER_TIME, Exchange
from bybit_exporter.sandbox.limits import UNLIMITED, Limits, RateLimit
from bybit_exporter.sandbox.messages import Refusal, Request, Response
from bybit_exporter.sandbox.server import SandboxServer

__all__ = [
    "ASSET_INFO",
    "BANNED",
    "NORMAL",
    "SERVER_TIME",
    "UNLIMITED",
    "Account",
    "Exchange",
    "Holding",
    "Limits",
    "RateLimit",
    "Refusal",
    "Request",
    "Response",
    "SandboxServer",
    "faults",
]
