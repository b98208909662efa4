"""The script that a user would otherwise write: pybit, the client library's gauges and server, one request a coin."""

import logging
import os
import time

from prometheus_client import Gauge, start_http_server
from pybit.unified_trading import HTTP  # type: ignore[import-untyped]

LABELS = ("account", "account_type", "coin")
FREE = Gauge("bybit_asset_free", "Free balance", LABELS)
FROZEN = Gauge("bybit_asset_frozen", "Frozen balance", LABELS)
WITHDRAWING = Gauge("bybit_asset_withdrawing", "Balance in withdrawal", LABELS)
STATUS = Gauge("bybit_account_status", "1 if the account is normal", ("account", "account_type"))


def poll(session: HTTP, account: str, coin: str) -> None:
    """Asks for one coin and sets its gauges."""
    spot = session.get_spot_asset_info(accountType="SPOT", coin=coin)["result"]["spot"]
    STATUS.labels(account, "SPOT").set(spot["status"] == "ACCOUNT_STATUS_NORMAL")
    for asset in spot["assets"]:
        FREE.labels(account, "SPOT", asset["coin"]).set(float(asset["free"] or 0))
        FROZEN.labels(account, "SPOT", asset["coin"]).set(float(asset["frozen"] or 0))
        WITHDRAWING.labels(account, "SPOT", asset["coin"]).set(float(asset["withdraw"] or 0))


def main() -> None:
    """Polls for ever."""
    session = HTTP(api_key=os.environ["BYBIT_API_KEY"], api_secret=os.environ["BYBIT_API_SECRET"])
    session.endpoint = os.environ["BYBIT_URL"]
    start_http_server(int(os.environ["PORT"]), addr="127.0.0.1")
    while True:
        for coin in os.environ["COINS"].split(","):
            try:
                poll(session, "main", coin)
            except Exception:
                logging.exception("cannot poll %s", coin)
        time.sleep(float(os.environ["POLL_SECONDS"]))


if __name__ == "__main__":
    main()
