"""``python -m bench.exchange [ACCOUNTS]``: the embedded exchange with accounts to poll. Prints its base URL.

Without a number, it has one account of four coins with constant figures. With a number, it also has that number of
accounts of 20 coins. All their figures change between two answers, so that a cache is of no use.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import threading
from collections.abc import Iterator

from bybit_exporter.sandbox import UNLIMITED, Exchange, Holding, SandboxServer
from bybit_exporter.sandbox import Account as Held

ACCOUNT, API_KEY, API_SECRET = "main", "the-key-of-the-bench", "the-secret-of-the-bench"

HOLDINGS = {
    "BTC": Holding("1.284350", "0.050000"),
    "ETH": Holding("26.53485"),
    "SOL": Holding("562.750", "12.5"),
    "USDT": Holding("86420.55", "1200.00", "350.00"),
}

COINS = (
    *("BTC", "ETH", "SOL", "USDT", "USDC", "XRP", "ADA", "DOGE", "TRX", "LINK"),
    *("AVAX", "DOT", "LTC", "BCH", "UNI", "ATOM", "NEAR", "APT", "ARB", "MNT"),
)

RECORDED = 1000
"""Number of requests that the exchange keeps. They are not read, and it runs for minutes."""


def credentials(index: int) -> tuple[str, str, str]:
    """Name, key and secret of an account, the same for the exchange and its clients."""
    return f"subaccount-{index:04}", f"key{index:015}", f"secret{index:030}"


@contextlib.contextmanager
def running_exchange(accounts: int = 0) -> Iterator[str]:
    """Runs an exchange in a separate process, so that it does not slow down what is measured. Yields its base URL."""
    command = [sys.executable, "-m", "bench.exchange", str(accounts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _move(held: Held, _: float) -> None:
    """Realistic figures: eight decimals, some of them frozen in orders, a few in withdrawal."""
    figures = random.choices(range(1, 10**13), k=2 * len(COINS))  # noqa: S311
    held.holdings = {
        coin: Holding(f"{free / 1e8:.8f}", f"{frozen / 1e10:.8f}" if frozen % 2 else "0", "1.5" if not free % 9 else "")
        for coin, free, frozen in zip(COINS, figures[::2], figures[1::2], strict=True)
    }


def main() -> None:
    """Serves until it is killed."""
    exchange = Exchange(limits=UNLIMITED, history=RECORDED)
    exchange.add_account(ACCOUNT, HOLDINGS, api_key=API_KEY, api_secret=API_SECRET)
    for index in range(int(sys.argv[1]) if len(sys.argv) > 1 else 0):
        name, key, secret = credentials(index)
        held = exchange.add_account(name, api_key=key, api_secret=secret)
        held.behaviour = _move
    with SandboxServer(exchange) as server:
        print(server.base_url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
