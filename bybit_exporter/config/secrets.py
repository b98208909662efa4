"""API keys and secrets: in the configuration, in a file or in an environment variable. No problem quotes one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from .. import rsa
from ..model import Secret
from . import schema
from .schema import Section

MAX_SECRET_BYTES = 64 << 10

_VARIABLE_REFERENCE = re.compile(r"\$\w+|.*\$[{(].*", re.DOTALL)
"""``$NAME``, ``${NAME}`` and ``$(NAME)``: what shells, Compose and Kubernetes replace, but not the exporter."""

_QUOTE = r"""["'`\u00ab\u00bb\u2018-\u201f]"""
_IN_QUOTES = re.compile(rf"{_QUOTE}.*{_QUOTE}", re.DOTALL)


class SecretReader:
    """Reads the key and the secret of one account, each given in exactly one of three ways.

    With a single account and none of the three, ``BYBIT_API_KEY`` and ``BYBIT_API_SECRET`` are read.
    """

    def __init__(self, section: Section, path: Path, environ: Mapping[str, str], *, is_only_account: bool) -> None:
        self._section = section
        self._path = path
        self._environ = environ
        self._is_only_account = is_only_account
        self.files: list[Path] = []
        """The files that were read for a secret."""

    def read(self, key: str) -> Secret:
        """Reads ``api_key`` or ``api_secret``. What is wrong is reported; then the secret is empty."""
        sources = {key: self._configured, f"{key}_file": self._from_file, f"{key}_env": self._from_environment}
        secrets = [self._section.optional(name, partial(source, key), None) for name, source in sources.items()]
        given = [name for name in sources if self._section.has(name)]
        if len(given) > 1:
            self._section.report(given[1], f"{given[0]} is given too; give exactly one of {', '.join(sources)}")
        elif not given:
            return self._from_default_variable(key, f"missing; give one of {', '.join(sources)}")
        return next((secret for secret in secrets if secret is not None), Secret(""))

    def _from_default_variable(self, key: str, problem: str) -> Secret:
        variable = f"BYBIT_{key.upper()}"
        try:
            if self._is_only_account and variable in self._environ:
                return _secret(key, self._environ[variable], f"the environment variable {variable} ")
            self._section.report(key, problem + (f", or set {variable}" if self._is_only_account else ""))
        except ValueError as error:
            self._section.report(key, str(error))
        return Secret("")

    def _configured(self, key: str, value: Any) -> Secret:
        self.files.append(self._path)
        return _secret(key, value)

    def _from_file(self, key: str, value: Any) -> Secret:
        name = schema.text(value)
        self.files.append(self._path.parent / name)
        text = schema.read_named_file(name, self._path.parent, MAX_SECRET_BYTES)
        return _secret(key, text.removesuffix("\n").removesuffix("\r"), "the file ")

    def _from_environment(self, key: str, value: Any) -> Secret:
        name = schema.text(value)
        if name in self._environ:
            return _secret(key, self._environ[name], "the variable ")
        hint = "; write the name alone, without $" if name.startswith("$") else ""
        raise ValueError(f"the environment has no variable of this name{hint}")


def _secret(key: str, value: Any, subject: str = "") -> Secret:
    """The value of ``api_key`` or ``api_secret``. Raises ValueError with what is wrong, after the subject.

    ``api_secret`` may be a private RSA key, whose public key the exchange holds.
    """
    try:
        text = schema.text(value)
        if _VARIABLE_REFERENCE.fullmatch(text):
            name = f"write the variable's name as {key}_env"
            raise ValueError(f"refers to an environment variable, which is not replaced here; {name}")
        if _IN_QUOTES.fullmatch(text):
            raise ValueError("begins and ends with a quote character, which no key or secret has; remove the quotes")
        pem = text.strip()
        if key == "api_secret" and pem.startswith(rsa.PEM_PREFIX):
            rsa.private_key(pem)
            return Secret(pem)
        if not re.fullmatch(r"[!-~]+", text):
            raise ValueError("contains a blank, a line break or another character that no key or secret has")
        return Secret(text)
    except ValueError as error:
        raise ValueError(f"{subject}{error}") from None
