"""The web configuration as it is now: changed files are taken up without a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog

from ...config.schema import ConfigError
from . import web_config
from .auth import Verifier
from .rate_limit import TokenBucket
from .web_config import WebConfig

_log = structlog.get_logger()

Signature = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for a connection or a request that comes in now."""

    config: WebConfig
    verifier: Verifier | None
    """`None` if no password is asked for."""
    bucket: TokenBucket | None


class LiveWebConfig:
    """Holds the rules. Whoever needs several of them together reads `rules` once."""

    def __init__(
        self, path: str | None = None, config: WebConfig | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._clock = clock
        config = config or WebConfig()
        self.rules = self._make_rules(config, None)
        self._files: tuple[Path, ...] = config.files
        self._taken = self._seen = _signature(self._files)
        self._problem = ""

    async def refresh(self) -> None:
        """To be called about once a second."""
        if self._path is not None:
            await asyncio.to_thread(self.check_files)

    def check_files(self) -> None:
        """Takes up the files if they have changed, and then not again since the last call.

        Someone may be in the middle of writing them. What is wrong with a change is logged once; the old rules stay.
        """
        seen, self._seen = self._seen, _signature(self._files)
        if seen != self._seen or (seen == self._taken and not self._problem):
            return
        try:
            config = web_config.load(str(self._path))
            if weaker := _weaker(self.rules.config, config):
                raise ConfigError([f"{self._path}: {weaker}; this takes a restart"])
        except ConfigError as error:
            self._keep("; ".join(error.problems))
        else:
            self._take_up(config)
        self._taken = seen

    def _keep(self, problem: str) -> None:
        if problem != self._problem:
            _log.error("the web configuration was not taken up; the old one stays", error=problem)
        self._problem = problem

    def _take_up(self, config: WebConfig) -> None:
        self._problem, self._files = "", config.files
        self._seen = _signature(self._files)
        if config == self.rules.config:
            return
        self.rules = self._make_rules(config, self.rules)
        expires = config.expires
        _log.info("web configuration taken up", certificate_expires=expires and expires.isoformat())
        for warning in (*config.warnings, *config.expired):
            _log.warning(warning)

    def _make_rules(self, config: WebConfig, old: Rules | None) -> Rules:
        verifier = Verifier(config.users) if config.users else None
        bucket = TokenBucket(config.rate_limit, self._clock) if config.rate_limit else None
        if old and old.config.users == config.users:
            verifier = old.verifier
        if old and old.config.rate_limit == config.rate_limit:
            bucket = old.bucket
        return Rules(config, verifier, bucket)


def _weaker(old: WebConfig, new: WebConfig) -> str | None:
    """A protection that is lost, perhaps since the file was read half-written. A running server opens to nobody new."""
    if (old.tls is None) != (new.tls is None):
        return "tls_server_config cannot come or go while the exporter runs"
    if old.users and not new.users:
        return "basic_auth_users asks for no password any more"
    if old.tls and new.tls and old.tls.clients.verify > new.tls.clients.verify:
        return "client_auth_type asks for less than before"
    if old.tls and new.tls and old.tls.clients.allowed_sans and not new.tls.clients.allowed_sans:
        return "client_allowed_sans is gone"
    return None


def _signature(files: Iterable[Path]) -> Signature:
    return tuple(map(_file_signature, files))


def _file_signature(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
