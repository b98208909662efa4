"""``python -m bybit_exporter.sandbox``: serves the demo's accounts, for the exporter or any client of Bybit.

Standard output is a configuration of the exporter with the base URL and all keys and secrets, so
``python -m bybit_exporter.sandbox > config.yaml`` works. Errors go to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import sys

from bybit_exporter.sandbox.demo import configuration, demo_exchange
from bybit_exporter.sandbox.server import SandboxServer

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})")
_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Exit status: 0; 1 cannot listen on the address; 2 wrong command line."""
    parser = argparse.ArgumentParser(prog="python -m bybit_exporter.sandbox", description=__doc__)
    parser.add_argument(
        "--listen-address",
        default="127.0.0.1:0",
        metavar="HOST:PORT",
        help="loopback only; port 0, the default, is any free port",
    )
    address = parser.parse_args(arguments).listen_address
    try:
        return serve(*parse_address(address))
    except ValueError as error:
        print(f"--listen-address {address}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"cannot listen on {address}: {error}", file=sys.stderr)
        return 1


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``127.0.0.1:9000`` or ``[::1]:9000``.

    Raises:
        ValueError: the text has neither form.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise ValueError("not HOST:PORT, such as 127.0.0.1:9000 or [::1]:9000")
    return found["v6"] or found["host"], int(found["port"])


def serve(host: str, port: int) -> int:
    """Print the configuration, then serve until SIGTERM or SIGINT."""
    exchange = demo_exchange()
    server = SandboxServer(exchange, host, port)
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    with contextlib.suppress(BrokenPipeError):
        print(configuration(exchange, server.base_url), end="", flush=True)
    with server:
        signal.sigwait(_STOP_SIGNALS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
