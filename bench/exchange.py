"""``python -m bench.exchange``: the embedded exchange with the account that is polled; prints its base URL."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator

from bybit_exporter.sandbox import UNLIMITED, Exchange, Holding, SandboxServer

ACCOUNT, API_KEY, API_SECRET = "main", "the-key-of-the-bench", "the-secret-of-the-bench"

HOLDINGS = {
    "BTC": Holding("1.284350", "0.050000"),
    "ETH": Holding("26.53485"),
    "SOL": Holding("562.750", "12.5"),
    "USDT": Holding("86420.55", "1200.00", "350.00"),
}


@contextlib.contextmanager
def running_exchange() -> Iterator[str]:
    """The base URL of an exchange in a process of its own, so that what is measured does not wait for it."""
    with subprocess.Popen([sys.executable, "-m", "bench.exchange"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def main() -> None:
    """Serves until it is killed."""
    exchange = Exchange(limits=UNLIMITED)
    exchange.add_account(ACCOUNT, HOLDINGS, api_key=API_KEY, api_secret=API_SECRET)
    with SandboxServer(exchange) as server:
        print(server.base_url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
