"""Who may import whom. Figures flow one way, and every room has one job: ARCHITECTURE.md draws it."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = "bybit_exporter"

ROOMS: dict[str, set[str]] = {
    "": set(),
    "clock": set(),
    "durations": set(),
    "heap": set(),
    "listen": set(),
    "log": set(),
    "model": set(),
    "state": {"model"},
    "rsa": set(),
    "secret_files": set(),
    "sharding": set(),
    "strict_yaml": set(),
    "schema": {"durations", "strict_yaml"},
    "config": {"durations", "model", "rsa", "schema", "secret_files"},
    "schedule": set(),
    "exposition": set(),
    "metrics": {"", "exposition", "model", "state"},
    "history": {"model"},
    "store": {"clock", "exposition", "history", "metrics", "model", "state"},
    "bybit": {"", "clock", "model", "rsa"},
    "journal": {"bybit", "durations", "model"},
    "tasks": {"bybit", "clock", "journal", "metrics", "model", "schedule", "state", "store"},
    "poller": {"bybit", "clock", "durations", "schedule", "store", "tasks"},
    "service": {"bybit", "clock", "config", "journal", "model", "poller", "sharding", "state", "store", "tasks"},
    "web": {"", "clock", "durations", "metrics", "model", "schema", "secret_files", "sharding", "state", "store"},
    "sandbox": set(),
}
"""The rooms (modules and packages at the top) and which others they may import. `cli` wires them, and may all."""

INSIDE: dict[str, set[str]] = {
    "bybit": set(),
    "bybit.signing": {"rsa"},
    "bybit.errors": {"model"},
    "bybit.exchange_clock": {"clock"},
    "bybit.gate": {"clock", "bybit.errors"},
    "bybit.transport": {"clock", "bybit.errors"},
    "bybit.client": {"", "clock", "model", "bybit.errors", "bybit.exchange_clock", "bybit.gate", "bybit.signing"}
    | {"bybit.transport"},
    "bybit.amounts": {"bybit.errors"},
    "bybit.paging": {"model", "bybit.client", "bybit.errors"},
    "bybit.wallets": {"model", "bybit.amounts", "bybit.client", "bybit.errors"},
    "bybit.withdrawals": {"model", "bybit.amounts", "bybit.client", "bybit.paging", "bybit.wallets"},
    "bybit.keys": {"model", "bybit.client", "bybit.errors"},
    "bybit.subaccounts": {"model", "bybit.client", "bybit.paging", "bybit.wallets"},
    "bybit.prices": {"bybit.amounts", "bybit.client", "bybit.errors"},
}
"""The same within the room that talks to the exchange."""

AT_HOME: dict[str, set[str]] = {
    "requests": {"bybit.transport"},
    "urllib3": {"bybit.transport"},
    "prometheus_client": {"exposition", "store"},
    "cryptography": {"rsa"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "jinja2": {"web"},
    "yaml": {"strict_yaml"},
    "msgspec": {"bybit", "model", "state", "store", "tasks"},
    "isal": {"web"},
}
"""The libraries that are used in some rooms or modules only."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted((ROOT / PACKAGE).rglob("*.py"))}


def room(module: str) -> str:
    return module.partition(".")[0]


@cache
def imports(module: str) -> frozenset[str]:
    """Full names of the modules that a module imports, wherever in it and for whatever purpose."""
    path = MODULES[module]
    package = [PACKAGE, *module.split(".")] if module else [PACKAGE]
    if path.name != "__init__.py":
        package = package[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            found.update(from_names(".".join([*base, *(node.module or "").split(".")]).strip("."), node))
    return frozenset(found)


def from_names(source: str, node: ast.ImportFrom) -> Iterator[str]:
    """``from . import clock`` imports the module ``clock``; ``from .clock import wall`` too."""
    for alias in node.names:
        inner = f"{source}.{alias.name}".removeprefix(f"{PACKAGE}.")
        yield f"{PACKAGE}.{inner}" if source.startswith(PACKAGE) and inner in MODULES else source


def own_imports(module: str) -> set[str]:
    """The modules of the package that a module imports, by name within the package."""
    own = {name for name in imports(module) if name == PACKAGE or name.startswith(f"{PACKAGE}.")}
    return {name.removeprefix(PACKAGE).removeprefix(".") for name in own}


def libraries(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imports(module)} - {PACKAGE}


def test_the_reader_of_imports_sees_every_kind() -> None:
    assert {"", "clock", "model", "bybit.errors"} <= own_imports("bybit.client")
    assert {"config", "log", "sandbox", "sandbox.demo", "web.app"} <= own_imports("cli")
    assert {"requests", "urllib3", "socket"} <= libraries("bybit.transport")
    assert {"starlette", "dataclasses"} <= libraries("web.app")


def test_every_room_is_in_the_table() -> None:
    assert {room(module) for module in MODULES} == {*ROOMS, "cli", "__main__"}
    assert {module for module in MODULES if room(module) == "bybit"} == set(INSIDE)


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"cli", "__main__"}))
def test_doors_between_rooms(module: str) -> None:
    assert {room(imported) for imported in own_imports(module)} <= ROOMS[room(module)] | {room(module)}


@pytest.mark.parametrize("module", sorted(INSIDE))
def test_doors_within_the_exchange_s_room(module: str) -> None:
    assert own_imports(module) <= INSIDE[module]


def test_no_circles() -> None:
    graph = {module: own_imports(module) - {module} for module in MODULES if room(module) != "sandbox"}
    graphlib.TopologicalSorter(graph).prepare()


def test_libraries_stay_at_home() -> None:
    for library, home in AT_HOME.items():
        users = {module for module in MODULES if library in libraries(module)}
        assert users
        assert {user for user in users if user not in home and room(user) not in home} == set()


def test_the_launchers_import_the_command_line_alone() -> None:
    tree = ast.parse((ROOT / "exporter.py").read_text())
    sources = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert sources == [f"{PACKAGE}.cli"]
    assert own_imports("__main__") == {"cli"}
