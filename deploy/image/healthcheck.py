"""The image's HEALTHCHECK: exit status 0 if the exporter of this container answers on ``/-/healthy``.

It reads the listen address from the command line of process 1, so it follows the flags that the container was given,
and an init process in front of the exporter (``docker run --init``) as well.
"""

from __future__ import annotations

import argparse
import os
import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

from bybit_exporter.web.server.listen import parse_address

COMMAND_LINE = Path("/proc/1/cmdline")
TIMEOUT_SECONDS = 3
DEFAULT_ADDRESS = os.environ.get("BYBIT_EXPORTER_LISTEN_ADDRESS") or "127.0.0.1:9836"


def main() -> int:
    """Tries HTTP, then TLS."""
    host, port = listen_address(COMMAND_LINE.read_text().split("\0"))
    plain = HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    encrypted = HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=_any_certificate())
    return 0 if answers(plain) or answers(encrypted) else 1


def listen_address(arguments: list[str]) -> tuple[str, int]:
    """Host and port to connect to. Of several addresses, the last one."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--web.listen-address", dest="listen_address", default=DEFAULT_ADDRESS)
    options, _ = parser.parse_known_args([argument for argument in arguments if argument != "--"])  # an init's
    host, port = parse_address(options.listen_address)
    return host or "127.0.0.1", port


def answers(connection: HTTPConnection) -> bool:
    """Whether an exporter answers. A TLS alert is an answer, too: it requires a client certificate."""
    try:
        connection.connect()
        connection.request("GET", "/-/healthy")
        return connection.getresponse().status == 200
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _any_certificate() -> ssl.SSLContext:
    """The certificate is for the name that clients use; here the container asks itself, and tells no secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


if __name__ == "__main__":
    sys.exit(main())
