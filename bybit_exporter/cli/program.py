"""Runs the program in the mode that the flags ask for."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial

from .. import log
from ..config import ConfigError
from ..service import BEFORE_EXPIRY, Service
from .configuration import load_accounts, load_both
from .demo import start_demo
from .flags import EXIT_FAILURE, EXIT_OK, EXIT_USAGE, parse_flags
from .serving import serve

NO_CONFIG_FILE_ADVICE = (
    "Copy config.example.yaml to config.yaml and enter your keys, name another file with --config.file, "
    "or try the exporter with --demo, which needs no configuration."
)


def run(arguments: Sequence[str] | None) -> int:
    """Runs the program and returns its exit status (`EXIT_OK` and so on). None: the arguments of the process."""
    options = parse_flags(arguments)
    log.configure(options.log_level, options.log_format)
    with contextlib.ExitStack() as cleanup:
        load = partial(load_accounts, options, start_demo(cleanup) if options.demo else None)
        try:
            configuration, web_configuration = load_both(options, load)
        except ConfigError as error:
            print(*error.problems, sep="\n", file=sys.stderr)
            found = os.path.exists(options.config_file)  # noqa: PTH110 - `Path.exists` raises for some names
            if not options.demo and not found:
                print(NO_CONFIG_FILE_ADVICE, file=sys.stderr)
            return EXIT_USAGE
        except OSError as error:
            print(f"bybit-exporter: cannot load the configuration: {error.strerror}", file=sys.stderr)
            return EXIT_FAILURE
        if options.check_config:
            return _write_result(b"ok\n", EXIT_OK)
        service = Service(configuration, load, options.shard)
        return _poll_once(service) if options.once else serve(options, service, web_configuration)


def _poll_once(service: Service) -> int:
    succeeded = service.poll_once()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader that leaves early ends the process, as with other filters
    return _write_result(service.store.exposition(now=BEFORE_EXPIRY), EXIT_OK if succeeded else EXIT_FAILURE)


def _write_result(content: bytes, status: int) -> int:
    """Writes to standard output. Returns the status, or `EXIT_FAILURE` if the result cannot be written."""
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
    except OSError as error:
        print(f"bybit-exporter: cannot write the result: {error.strerror}", file=sys.stderr)
        sys.stdout = None  # otherwise Python tries to write it again at exit
        return EXIT_FAILURE
    return status
