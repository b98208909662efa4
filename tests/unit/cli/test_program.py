"""What the program prints, and how it ends, when the system refuses something."""

from __future__ import annotations

import errno
import os

import pytest

from bybit_exporter.cli import main
from tests.certificates import FIXTURES


@pytest.mark.usefixtures("restored_process")
def test_certificate_that_cannot_be_given_to_openssl_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "memfd_create", refuse)
    status = main(["--demo", "--log.level=error", "--check-config", f"--web.config.file={FIXTURES}/tls.good.yml"])
    message = "cannot load the configuration: the certificate cannot be given to OpenSSL: Function not implemented"
    assert (status, *capsys.readouterr()) == (1, "", f"bybit-exporter: {message}\n")
