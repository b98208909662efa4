"""``python -m bench.exchange [ACCOUNTS]``: the embedded exchange with what is polled; prints its base URL.

Without a number, one account of four coins whose figures stay. With one, so many accounts of 20 coins each, whose
figures all change between any two answers, so that nothing can be gained by remembering them.
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
"""The exchange remembers no more of the past than this: it runs for minutes here, and nobody reads it."""


def credentials(index: int) -> tuple[str, str, str]:
    """Name, key and secret of an account, so that both sides know them."""
    return f"subaccount-{index:04}", f"key{index:015}", f"secret{index:030}"


@contextlib.contextmanager
def running_exchange(accounts: int = 0) -> Iterator[str]:
    """The base URL of an exchange in a process of its own, so that what is measured does not wait for it."""
    command = [sys.executable, "-m", "bench.exchange", str(accounts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _move(held: Held, _: float) -> None:
    """Figures as an account has them: eight decimals, a part of them in orders, now and then one on its way out."""
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
