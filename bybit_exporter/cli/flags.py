"""The flags, what they may be set to, and the exit statuses."""

from __future__ import annotations

import argparse
import difflib
import os
import platform
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from .. import REVISION, __version__, log
from ..sharding import Shard, ordinal
from ..web.server.listen import parse_address

EXIT_OK = 0
EXIT_FAILURE = 1
"""It failed at run time."""
EXIT_USAGE = 2
"""The command line or the configuration is wrong."""

DEFAULT_LISTEN_ADDRESS = "127.0.0.1:9836"
LISTEN_ADDRESS_VARIABLE = "BYBIT_EXPORTER_LISTEN_ADDRESS"
"""Environment variable that replaces the default. The image sets it, so a flag given to a container still wins."""

AUTO = "auto"
"""The value of ``--shard`` which takes the number from the end of the pod's name."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line, checked. The fields have the names that the parser gives its values."""

    config_file: str
    listen_addresses: tuple[str, ...]
    telemetry_path: str
    web_config_file: str | None
    max_connections: int
    lifecycle: bool
    log_level: str
    log_format: str
    check_config: bool
    once: bool
    demo: bool
    shard: Shard


def parse_flags(arguments: Sequence[str] | None = None) -> Options:
    """Parses the arguments; None takes those of the process. Ends the process if they are wrong."""
    parser = create_parser()
    options, unknown = parser.parse_known_args(arguments)
    for argument in unknown:  # only the flag's name is quoted, since its value may be a secret
        flag = argument.partition("=")[0]
        parser.error(_unknown_flag(flag, parser) if flag.startswith("-") else "takes flags only; see --help")
    try:
        shard = _shard(options.shard, options.total_shards)
    except ValueError as error:
        parser.error(f"argument --shard: {error}")
    addresses = tuple(options.listen_addresses or [_default_listen_address(parser)])
    for index, address in enumerate(addresses):
        if address in addresses[:index]:
            parser.error(f"argument --web.listen-address: {address} is given twice")
    values = vars(options) | {"listen_addresses": addresses, "lifecycle": bool(options.lifecycle), "shard": shard}
    del values["total_shards"]
    return Options(**values)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def create_parser() -> argparse.ArgumentParser:
    """The parser of all flags."""
    parser = _Parser(
        prog="bybit-exporter",
        description="Prometheus exporter for the balances and the status of Bybit accounts.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--config.file",
        dest="config_file",
        default="config.yaml",
        type=_file,
        metavar="PATH",
        help="configuration file (default: %(default)s)",
    )
    _add_web_flags(parser)
    add(
        "--log.level",
        dest="log_level",
        default="info",
        choices=log.LEVELS,
        help="lowest level that is logged (default: %(default)s)",
    )
    add(
        "--log.format",
        dest="log_format",
        default="logfmt",
        choices=log.FORMATS,
        help="format of log lines (default: %(default)s)",
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check-config", action="store_true", help="check the configuration, print `ok`, and exit")
    mode.add_argument("--once", action="store_true", help="poll every account once, print the metrics, and exit")
    add("--demo", action="store_true", help="poll an embedded exchange with invented accounts")
    add(
        "--shard",
        default=0,
        type=_shard_number,
        metavar="N",
        help="number of this process among those that share the accounts, from 0 (default: %(default)s); "
        f"{AUTO}: the number at the end of the pod's name",
    )
    add(
        "--total-shards",
        default=1,
        type=_count,
        metavar="N",
        help="number of processes that share the accounts (default: %(default)s)",
    )
    add("--version", action="version", version=_version(), help="print the version and exit")
    return parser


def _add_web_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--web.listen-address",
        dest="listen_addresses",
        action="append",
        type=_listen_address,
        metavar="HOST:PORT",
        help=f"address to listen on; may be given several times; :PORT is every interface, "
        f"where others can reach the balances (default: {DEFAULT_LISTEN_ADDRESS})",
    )
    add(
        "--web.telemetry-path",
        dest="telemetry_path",
        default="/metrics",
        type=_telemetry_path,
        metavar="PATH",
        help="path of the metrics (default: %(default)s)",
    )
    add(
        "--web.config.file",
        dest="web_config_file",
        type=_file,
        metavar="PATH",
        help="file with TLS and basic authentication",
    )
    add(
        "--web.max-connections",
        dest="max_connections",
        default=256,
        type=_count,
        metavar="N",
        help="maximum number of clients connected at once (default: %(default)s)",
    )
    add(
        "--web.enable-lifecycle",
        dest="lifecycle",
        action=argparse.BooleanOptionalAction,  # without a default, since only some versions add it to the help
        help="allow POST /-/reload (default: off)",
    )


def _unknown_flag(flag: str, parser: argparse.ArgumentParser) -> str:
    names = ["help", *re.findall(r"--([a-z][a-z.-]+)", parser.format_usage())]
    similar = difflib.get_close_matches(flag.lstrip("-"), names, n=1)
    return f"unknown flag {flag}; " + (f"did you mean --{similar[0]}? See --help" if similar else "see --help")


def _version() -> str:
    revision = f"revision {REVISION}, " if REVISION else ""
    return f"bybit-exporter {__version__} ({revision}Python {platform.python_version()})"


def _shard(number: int | str, total: int) -> Shard:
    """Raises ValueError with what is wrong."""
    source = ""
    if number == AUTO:
        pod_name = os.environ.get("POD_NAME") or socket.gethostname()
        number, source = ordinal(pod_name), f' at the end of "{pod_name}"'
    if int(number) >= total:
        raise ValueError(f"{number}{source} is not below --total-shards, which is {total}; shards are counted from 0")
    return Shard(int(number), total)


def _default_listen_address(parser: argparse.ArgumentParser) -> str:
    try:
        return _listen_address(os.environ.get(LISTEN_ADDRESS_VARIABLE) or DEFAULT_LISTEN_ADDRESS)
    except argparse.ArgumentTypeError as error:
        parser.error(f"the environment variable {LISTEN_ADDRESS_VARIABLE}: {error}")


def _listen_address(text: str) -> str:
    try:
        parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _file(text: str) -> str:
    """Refuses an empty path, for example of an unset variable: it must not mean "without TLS and password"."""
    if not text:
        raise argparse.ArgumentTypeError("is empty; must be the path of a file")
    return text


def _telemetry_path(text: str) -> str:
    if not re.fullmatch(r"/(?!/)[A-Za-z0-9._~/-]*", text) or text.startswith("/-/"):
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
