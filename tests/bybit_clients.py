"""Calls clients of Bybit that this project did not write: pybit, and bybit-api for Node.js.

A test is skipped where a client has no method for an endpoint.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bybit_exporter.sandbox import Account, SandboxServer
from tests.support import require_real

NODE = Path(__file__).parent / "node"


def pybit(module: str) -> Any:
    require_real(importlib.util.find_spec("pybit") is not None, "pybit (pip install pybit)")
    return importlib.import_module(f"pybit.{module}")


def pybit_session(server: SandboxServer, key: str, secret: str, **options: Any) -> Any:
    session = pybit("unified_trading").HTTP(api_key=key, api_secret=secret, retry_delay=0, **options)
    session.endpoint = server.base_url
    return session


def call_pybit(session: Any, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The envelope, or as much of it as the client lets through."""
    if not hasattr(session, method):
        pytest.skip(f"pybit has no {method}")
    try:
        answer: dict[str, Any] = getattr(session, method)(**parameters)
    except pybit("exceptions").InvalidRequestError as error:
        return {"retCode": error.status_code, "retMsg": error.message}
    return answer


def run_node(server: SandboxServer, key: str, secret: str, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    node = shutil.which("node")
    require_real(node is not None, "nodejs npm (Debian)")
    require_real((NODE / "node_modules" / "bybit-api").is_dir(), "npm ci --prefix tests/node")
    command = [str(node), "ask.mjs", server.base_url, key, secret, method, json.dumps(parameters)]
    done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, timeout=30, check=True)
    outcome: dict[str, Any] = json.loads(done.stdout)
    if "missing" in outcome:
        pytest.skip(f"bybit-api has no {method}")
    return outcome


def give_rsa_key(account: Account) -> str:
    """Make the account's key one that signs with RSA; the private half, which only its owner has, as PEM."""
    pair = importlib.import_module("Crypto.PublicKey.RSA").generate(2048)
    scheme = importlib.import_module("Crypto.Signature.pkcs1_15").new(pair.public_key())
    sha256, base64 = importlib.import_module("Crypto.Hash.SHA256"), importlib.import_module("base64")

    def verify(text: str, signature: str) -> bool:
        try:
            scheme.verify(sha256.new(text.encode()), base64.b64decode(signature))
        except ValueError:
            return False
        return True

    account.verify, account.key.rsa_public_key = verify, pair.public_key().export_key().decode()
    private: str = pair.export_key().decode()
    return private
