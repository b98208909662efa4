"""A script that only polls: `python -m bench.script URL ACCOUNTS POLLS`. Prints its CPU seconds for a poll.

It polls one account after the other, 50 a second, with `requests.get`, a signature and `json.loads`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import time

import requests

from .exchange import credentials

POLLS_A_SECOND = 50
RECV_WINDOW = "5000"


def poll(url: str, key: str, secret: str) -> None:
    """Reads the balances of one account."""
    query, timestamp = "accountType=SPOT", str(int(time.time() * 1000))
    text = timestamp + key + RECV_WINDOW + query
    headers = {
        "X-BAPI-API-KEY": key,
        "X-BAPI-TIMESTAMP": timestamp,
        "X-BAPI-RECV-WINDOW": RECV_WINDOW,
        "X-BAPI-SIGN": hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest(),
    }
    response = requests.get(f"{url}/v5/asset/transfer/query-asset-info?{query}", headers=headers, timeout=10)
    answer = json.loads(response.content)
    if answer["retCode"] != 0:
        raise RuntimeError(answer["retMsg"])


def main() -> None:
    """Polls at an even pace."""
    url, accounts, polls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    keys = [credentials(index)[1:] for index in range(accounts)]
    poll(url, *keys[0])
    started, cpu_started = time.monotonic(), time.process_time()
    for number in range(polls):
        poll(url, *keys[number % accounts])
        time.sleep(max(0.0, started + (number + 1) / POLLS_A_SECOND - time.monotonic()))
    print((time.process_time() - cpu_started) / polls)


if __name__ == "__main__":
    main()
