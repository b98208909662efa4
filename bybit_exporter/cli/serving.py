"""The usual mode: polls and serves until a signal ends it."""

from __future__ import annotations

import errno
import gc
import ipaddress
import signal
import socket
import sys
from queue import SimpleQueue

import structlog

from ..service import Service
from ..web.server.listen import bind, parse_address
from ..web.server.web_config import WebConfig
from .flags import EXIT_FAILURE, EXIT_OK, Options
from .reload_thread import ReloadThread

OBJECTS_BETWEEN_COLLECTIONS = 10_000
"""New objects until Python looks for circular garbage. With its default of 700, most scrapes would start a search."""

WITHOUT_AUTHENTICATION = (
    "anyone who can reach this address can read all balances: neither a password nor a client certificate is required"
)
WITHOUT_TLS = (
    "the connection is not encrypted: anyone who can listen on the network can read all balances and passwords"
)

_WEB_SERVER_ENDED = -1
"""Put into the queue of signal numbers when the web server ends."""

_log = structlog.get_logger()


def serve(options: Options, service: Service, web_configuration: WebConfig) -> int:
    """Polls and serves until SIGTERM, SIGINT, or the end of the web server; SIGHUP reloads. Returns the exit status."""
    listeners = []
    for address in options.listen_addresses:
        try:
            listeners.append(bind(*parse_address(address)))
        except OSError as error:
            print(f"bybit-exporter: cannot listen on {address}: {_bind_problem(error, address)}", file=sys.stderr)
            return EXIT_FAILURE
    events: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda signum, _: events.put(signum))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])  # `cli.main` has blocked it
    reloads = ReloadThread(service.reload)
    service.start()  # before the web server, whose modules take a moment to load
    from ..web.app import WebOptions, create_app
    from ..web.server.reloader import WebConfigReloader
    from ..web.server.server import WebServer

    web_options = WebOptions(options.telemetry_path, options.demo, options.lifecycle, options.shard)
    app = create_app(service.store, web_options, reloads.request)
    reloader = WebConfigReloader(options.web_config_file, web_configuration)
    web = WebServer(app, listeners, lambda: events.put(_WEB_SERVER_ENDED), reloader, options.max_connections)
    web.start()
    for listener in listeners:
        announce(listener, web_configuration)
    gc.collect()  # else scrapes wait for searches through all objects: 50 ms with a thousand accounts
    gc.freeze()  # objects that exist now are not searched again
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    while (event := events.get()) == signal.SIGHUP:
        reloads.request()  # if it fails, the service logs it
    _log.info("stopping")
    web.stop()
    service.stop()
    return EXIT_FAILURE if event == _WEB_SERVER_ENDED else EXIT_OK


def _bind_problem(error: OSError, address: str) -> str:
    if error.errno != errno.EADDRINUSE:
        return error.strerror or str(error)
    flag = f"--web.listen-address={address.rpartition(':')[0]}:PORT"
    return f"{error.strerror}; choose another port with {flag} (with make: make run FLAGS={flag})"


def announce(listener: socket.socket, web_configuration: WebConfig) -> None:
    """Logs the URL, and warns if others than this machine can read balances there."""
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    shown_host = "localhost" if address.is_unspecified else f"[{host}]" if address.version == 6 else host
    url = f"{'https' if web_configuration.tls else 'http'}://{shown_host}:{port}/"
    if not address.is_loopback and not web_configuration.requires_authentication:
        _log.warning(WITHOUT_AUTHENTICATION, url=url)
    if not address.is_loopback and web_configuration.tls is None:
        _log.warning(WITHOUT_TLS, url=url)
    _log.info("listening", url=url)
