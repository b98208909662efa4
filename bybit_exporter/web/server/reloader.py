"""Reloads the web configuration while the server runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog

from ...config.schema import ConfigError
from . import web_config
from .auth import PasswordVerifier
from .web_config import RateLimit, WebConfig

_log = structlog.get_logger()

CHECK_SECONDS = 1.0

Signature = tuple[tuple[int, int, int] | None, ...]


class TokenBucket:
    """The rate limit for all clients. It starts full; each request takes a token, and each interval adds one."""

    def __init__(self, limit: RateLimit, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._tokens = float(limit.burst)
        self._updated = clock()

    def take(self) -> bool:
        """Takes a token. Returns False if there is none."""
        now = self._clock()
        self._tokens += (now - self._updated) / self._limit.interval_seconds
        self._tokens = min(self._tokens, float(self._limit.burst))
        self._updated = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(frozen=True, slots=True)
class AccessRules:
    """The web configuration in use, with its password verifier and its rate limiter."""

    config: WebConfig
    verifier: PasswordVerifier | None
    """`None` if no password is needed."""
    rate_limiter: TokenBucket | None


class WebConfigReloader:
    """Watches the files of the web configuration, and replaces `rules` when they have changed.

    Code that needs several rules must read `rules` once, since it may be replaced at any time.
    """

    def __init__(
        self, path: str | None = None, config: WebConfig | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._clock = clock
        config = config or WebConfig()
        self.rules = self._make_rules(config, None)
        self._files: tuple[Path, ...] = config.files
        self._loaded_version: Signature | None = None
        """`None` at first, so that the files are loaded again: they may have changed since ``config`` was read."""
        self._latest_check: Signature | None = None
        self._problem = ""
        self._stopped = threading.Event()

    def start(self) -> None:
        """Checks the files once a second. Nothing waits for this thread, since a file system may hang."""
        if self._path is not None:
            threading.Thread(target=self._watch, name="web-config", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(CHECK_SECONDS):
            self.check()

    def check(self) -> None:
        """Checks for changes. Reports every error, and raises none: it would end the thread."""
        try:
            self.check_files()
        except Exception as error:  # its text is not logged, since it may quote a file
            name = type(error).__name__
            self._report(f"the check of its files failed unexpectedly ({name}); it is repeated every second")

    def check_files(self) -> None:
        """Loads the files if they have changed since they were loaded, but not since the last call.

        A file that changes between two calls may still be being written. A problem is logged once; the old rules stay.
        """
        previous_check = self._latest_check
        self._latest_check = latest_check = _signature(self._files)
        if latest_check != previous_check:
            return
        if latest_check == self._loaded_version and not self._problem:  # after a problem, it tries again
            return
        try:
            config = web_config.load(str(self._path))
            if weaker := _weaker(self.rules.config, config):
                raise ConfigError([f"{self._path}: {weaker}; restart the exporter to apply this"])
        except ConfigError as error:
            self._report("; ".join(error.problems))
        else:
            self._replace(config)
        self._loaded_version = latest_check

    def _report(self, problem: str) -> None:
        if problem != self._problem:
            _log.error("the web configuration was not reloaded; the old one is still in use", error=problem)
        self._problem = problem

    def _replace(self, config: WebConfig) -> None:
        self._problem, self._files = "", config.files
        self._latest_check = _signature(self._files)
        if config == self.rules.config:
            return
        self.rules = self._make_rules(config, self.rules)
        expires = config.expires
        _log.info("web configuration reloaded", certificate_expires=expires and expires.isoformat())
        for warning in (*config.warnings, *config.expiry_problems):
            _log.warning(warning)

    def _make_rules(self, config: WebConfig, old: AccessRules | None) -> AccessRules:
        verifier = PasswordVerifier(config.users) if config.users else None
        rate_limiter = TokenBucket(config.rate_limit, self._clock) if config.rate_limit else None
        if old and old.config.users == config.users:
            verifier = old.verifier
        if old and old.config.rate_limit == config.rate_limit:
            rate_limiter = old.rate_limiter
        return AccessRules(config, verifier, rate_limiter)


def _weaker(old: WebConfig, new: WebConfig) -> str | None:
    """Describes a protection that the new configuration lacks. Returns None if it lacks none.

    A running server never reduces its protection, since the file may have been read while it was being written.
    """
    if (old.tls is None) != (new.tls is None):
        return "tls_server_config cannot be added or removed while the exporter runs"
    if old.users and not new.users:
        return "basic_auth_users has no users any more"
    if old.tls and new.tls:
        before, after = old.tls.client_certificates, new.tls.client_certificates
        if before.verify > after.verify:
            return "client_auth_type is less strict than before"
        if before.allowed_sans and not after.allowed_sans:
            return "client_allowed_sans was removed"
    return None


def _signature(files: Iterable[Path]) -> Signature:
    return tuple(map(_file_signature, files))


def _file_signature(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
