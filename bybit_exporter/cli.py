"""The command line: flags to parts, signals, exit status."""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import ipaddress
import os
import platform
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, NoReturn, TypeVar

import structlog

from . import REVISION, __version__, config, heap, log
from .config import Config, ConfigError
from .model import STALE_AFTER_INTERVALS, Account, AccountType, Secret
from .service import BEFORE_EXPIRY, Service
from .sharding import Shard, ordinal
from .web.server.listen import bind, parse_address

if TYPE_CHECKING:
    from .web.server.server import WebServer
    from .web.server.web_config import WebConfig

T = TypeVar("T")

EXIT_OK, EXIT_FAILURE, EXIT_USAGE = 0, 1, 2

_WEB_ENDED = -1
"""Stands among the numbers of signals."""

DEMO_POLL_INTERVAL_SECONDS = 5.0

AUTO = "auto"
"""The value of ``--shard`` that has it read off the pod's name."""

OBJECTS_BETWEEN_COLLECTIONS = 10_000
"""Python's own choice, 700, is reached by the ups and downs of a scrape, though hardly anything here is in circles."""

_log = structlog.get_logger()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program. Returns its exit status: 0 fine, 1 failed at run time, 2 wrong flags or configuration."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback
    options = _parse(arguments)
    log.configure(options.log_level, options.log_format)
    with contextlib.ExitStack() as cleanup:
        try:
            whole = _demo(cleanup) if options.demo else lambda: _load(options.config_file)
            load = filter_by_shard(whole, options.shard)
            configuration, web_configuration = _configurations(options, load)
        except ConfigError as error:
            print(*error.problems, sep="\n", file=sys.stderr)
            return EXIT_USAGE
        if options.check_config:
            return _output(b"ok\n", EXIT_OK)
        if options.once:
            return _once(Service(configuration, load, options.shard))
        return _serve(options, configuration, load, web_configuration)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="bybit-exporter",
        description="Prometheus exporter for the balances and the status of Bybit accounts.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--config.file", dest="config_file", default="config.yaml", metavar="PATH", help="the configuration")
    add(
        "--web.listen-address",
        dest="listen_address",
        default="127.0.0.1:9836",
        type=_listen_address,
        metavar="HOST:PORT",
        help="where to listen; :PORT is every interface, and balances are private",
    )
    add(
        "--web.telemetry-path",
        dest="telemetry_path",
        default="/metrics",
        type=_telemetry_path,
        metavar="PATH",
        help="where the metrics are",
    )
    add("--web.config.file", dest="web_config_file", metavar="PATH", help="TLS and basic authentication")
    add(
        "--web.max-connections",
        dest="max_connections",
        default=256,
        type=_count,
        metavar="N",
        help="how many clients may be connected at once",
    )
    add(
        "--web.enable-lifecycle",
        dest="lifecycle",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="allow POST /-/reload",
    )
    add("--log.level", dest="log_level", default="info", choices=log.LEVELS, help="the least that is logged")
    add("--log.format", dest="log_format", default="logfmt", choices=log.FORMATS, help="how logs are written")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check-config", action="store_true", help="check the configuration and end")
    mode.add_argument("--once", action="store_true", help="poll each account once, print the metrics and end")
    add("--demo", action="store_true", help="run with an embedded exchange and made-up accounts")
    add(
        "--shard",
        default=0,
        type=_shard_number,
        metavar="N",
        help="poll only this share of the accounts, counted from 0; auto: the number at the end of the pod's name",
    )
    add("--total-shards", default=1, type=_count, metavar="N", help="how many processes share the accounts")
    add("--version", action="version", version=_version(), help="print the version and end")
    return parser


def _version() -> str:
    revision = f"revision {REVISION}, " if REVISION else ""
    return f"bybit-exporter {__version__} ({revision}Python {platform.python_version()})"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    for argument in unknown:  # not quoted whole, since a value may be a secret
        flag = argument.partition("=")[0]
        parser.error(f"unknown flag {flag}" if flag.startswith("-") else "takes flags only; see --help")
    try:
        options.shard = _shard(options.shard, options.total_shards)
    except ValueError as error:
        parser.error(f"argument --shard: {error}")
    return options


def _shard(number: int | str, total: int) -> Shard:
    """Raises ValueError with what is wrong."""
    found = ""
    if number == AUTO:
        pod_name = os.environ.get("POD_NAME") or socket.gethostname()
        number, found = ordinal(pod_name), f' at the end of "{pod_name}"'
    if int(number) >= total:
        raise ValueError(f"{number}{found} is not below --total-shards, which is {total}; shards are counted from 0")
    return Shard(int(number), total)


def _listen_address(text: str) -> str:
    try:
        parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _telemetry_path(text: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", text) or text.startswith("/-/"):
        raise argparse.ArgumentTypeError(f'"{text}" is not a path such as /metrics')
    return text


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text):
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number from 1 to 99999')
    return int(text)


def _shard_number(text: str) -> int | str:
    if not re.fullmatch(rf"[0-9]{{1,5}}|{AUTO}", text):
        raise argparse.ArgumentTypeError(f'"{text}" is neither a whole number from 0 to 99998 nor {AUTO}')
    return text if text == AUTO else int(text)


def _load(path: str) -> Config:
    configuration = config.load(path)
    _warn(configuration.warnings)
    return configuration


def filter_by_shard(load: Callable[[], Config], shard: Shard) -> Callable[[], Config]:
    """What reads the whole configuration, so that every shard finds every problem, and keeps the shard's accounts."""

    def load_share() -> Config:
        whole = load()
        accounts = tuple(account for account in whole.accounts if shard.has(account.name))
        if shard.total > 1:
            counts = {"accounts": len(accounts), "configured": len(whole.accounts)}
            _log.info("polls a share of the accounts", shard=shard.number, total_shards=shard.total, **counts)
        return replace(whole, accounts=accounts)

    return load_share


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        _log.warning(warning)


def _configurations(options: argparse.Namespace, load: Callable[[], Config]) -> tuple[Config, WebConfig]:
    """Both files. Raises ConfigError with the problems of both."""
    from .web.server import web_config

    problems: list[str] = []
    configuration = _collect_problems(load, problems)
    path = options.web_config_file
    web_configuration = _collect_problems(lambda: web_config.load(path) if path else web_config.WebConfig(), problems)
    if web_configuration:
        _warn(web_configuration.warnings)
        (problems.extend if options.check_config else _warn)(web_configuration.expired)
    if configuration is None or web_configuration is None or problems:
        raise ConfigError(problems)
    return configuration, web_configuration


def _collect_problems(load: Callable[[], T], problems: list[str]) -> T | None:
    try:
        return load()
    except ConfigError as error:
        problems += error.problems
        return None


def _demo(cleanup: contextlib.ExitStack) -> Callable[[], Config]:
    """Starts the embedded exchange, and returns what reads the configuration for it."""
    from .sandbox import SandboxServer
    from .sandbox.demo import configuration_of, demo_exchange

    _log.warning("DEMO: every figure is invented; an exchange embedded in the exporter is polled, not Bybit")
    exchange = demo_exchange()
    server = cleanup.enter_context(SandboxServer(exchange))
    accounts = tuple(
        Account(
            name=account["name"],
            account_type=AccountType(account["account_type"]),
            coins=None,
            api_key=Secret(account["api_key"]),
            api_secret=Secret(account["api_secret"]),
            poll_interval_seconds=DEMO_POLL_INTERVAL_SECONDS,
            stale_after_seconds=STALE_AFTER_INTERVALS * DEMO_POLL_INTERVAL_SECONDS,
            subaccounts="subaccounts" in account,
            subaccount_balances="subaccounts" in account,
            products="products" in account,
        )
        for account in configuration_of(exchange)
    )
    configuration = Config(config.ApiConfig(base_url=server.base_url), accounts)
    return lambda: configuration


def _once(service: Service) -> int:
    succeeded = service.poll_once()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # as other filters end
    return _output(service.store.exposition(now=BEFORE_EXPIRY), EXIT_OK if succeeded else EXIT_FAILURE)


def _output(content: bytes, status: int) -> int:
    """Writes the result. Returns the status, or that of a failure if nobody can have it."""
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
    except OSError as error:
        print(f"bybit-exporter: cannot write the result: {error.strerror}", file=sys.stderr)
        sys.stdout = None  # or Python tries again as it ends
        return EXIT_FAILURE
    return status


def _serve(
    options: argparse.Namespace, configuration: Config, load: Callable[[], Config], web_configuration: WebConfig
) -> int:
    host, port = parse_address(options.listen_address)
    try:
        listener = bind(host, port)
    except OSError as error:
        print(f"bybit-exporter: cannot listen on {options.listen_address}: {error.strerror}", file=sys.stderr)
        return EXIT_FAILURE
    heap.share_one_arena()
    events: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda signum, _: events.put(signum))
    service = Service(configuration, load, options.shard)
    service.start()  # the first answers arrive while the web side is loaded
    web = _start_web(options, service, listener, web_configuration, lambda: events.put(_WEB_ENDED))
    _announce(listener, web_configuration)
    _collect_rarely()
    while (event := events.get()) == signal.SIGHUP:
        with contextlib.suppress(ConfigError):  # it is logged
            service.reload()
    _log.info("stopping")
    web.stop()
    service.stop()
    return EXIT_FAILURE if event == _WEB_ENDED else EXIT_OK


def _start_web(
    options: argparse.Namespace,
    service: Service,
    listener: socket.socket,
    web_configuration: WebConfig,
    ended: Callable[[], None],
) -> WebServer:
    from .web.app import WebOptions, create_app
    from .web.server.reloader import WebConfigReloader
    from .web.server.server import WebServer

    web_options = WebOptions(options.telemetry_path, options.demo, options.lifecycle, options.shard)
    app = create_app(service.store, web_options, service.reload)
    reloader = WebConfigReloader(options.web_config_file, web_configuration)
    web = WebServer(app, [listener], ended, reloader, options.max_connections)
    web.start()
    return web


def _collect_rarely() -> None:
    """Lets no scrape wait for a search through all objects, which takes 50 ms with a thousand accounts."""
    gc.collect()
    gc.freeze()  # what is loaded stays
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)


def _announce(listener: socket.socket, web_configuration: WebConfig) -> None:
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    reached_as = "localhost" if address.is_unspecified else f"[{host}]" if address.version == 6 else host
    if not address.is_loopback and not web_configuration.requires_authentication:
        _log.warning("whoever reaches this address can read every balance: no password or client certificate is asked")
    if not address.is_loopback and web_configuration.tls is None:
        _log.warning("whoever can listen on the network can read every balance, and a password: there is no TLS")
    scheme = "https" if web_configuration.tls else "http"
    _log.info("listening", url=f"{scheme}://{reached_as}:{port}/")
