"""The layers: which package may import which. ARCHITECTURE.md has the picture."""

from __future__ import annotations

import ast
import graphlib
import importlib
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = "bybit_exporter"

LAYERS: dict[str, set[str]] = {
    "": set(),
    "clock": set(),
    "durations": set(),
    "log": set(),
    "model": set(),
    "rsa": set(),
    "sharding": set(),
    "config": {"durations", "model", "rsa"},
    "bybit": {"", "clock", "model", "rsa"},
    "metrics": {"", "clock", "model"},
    "polling": {"bybit", "clock", "durations", "metrics", "model"},
    "web": {"", "clock", "config", "durations", "metrics", "model", "sharding"},
    "service": {"bybit", "clock", "config", "metrics", "model", "polling", "sharding"},
    "sandbox": set(),
}
"""The packages and modules at the top, and which others each may import. `cli` may import all."""

WEB_SERVER: set[str] = {"clock", "config", "durations", "model"}
"""The modules that `web.server` may import. It does not depend on Bybit, and could be a package of its own."""

LIBRARY_OWNERS: dict[str, set[str]] = {
    "requests": {"bybit.transport"},
    "urllib3": {"bybit.connection", "bybit.transport"},
    "prometheus_client": {"metrics"},
    "cryptography": {"rsa", "web.server.tls"},
    "starlette": {"web"},
    "uvicorn": {"web.server"},
    "jinja2": {"web"},
    "markdown_it": {"web.documentation"},
    "yaml": {"config.strict_yaml"},
    "msgspec": {"bybit", "model", "metrics", "polling"},
    "isal": {"web"},
}
"""The libraries that only some packages or modules use."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted((ROOT / PACKAGE).rglob("*.py"))}


def layer(module: str) -> str:
    return module.partition(".")[0]


@cache
def imports(module: str) -> frozenset[str]:
    """Full names of all modules that a module imports, also in functions and for types."""
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


def test_imports_of_every_kind_are_found() -> None:
    assert {"", "clock", "model", "bybit.errors"} <= own_imports("bybit.client")
    assert {"sandbox", "sandbox.demo", "config", "model"} <= own_imports("cli.demo")
    assert {"requests", "urllib3", "http"} <= libraries("bybit.transport")
    assert {"starlette", "dataclasses"} <= libraries("web.app")


def is_in(module: str, packages: Iterable[str]) -> bool:
    """Whether a module is one of these, or within one of these packages."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_every_layer_is_in_the_table() -> None:
    assert {layer(module) for module in MODULES} == {*LAYERS, "cli", "__main__"}


@pytest.mark.parametrize("module", sorted(module for module in MODULES if layer(module) in LAYERS))
def test_module_imports_only_layers_below(module: str) -> None:
    assert {layer(imported) for imported in own_imports(module)} <= LAYERS[layer(module)] | {layer(module)}


@pytest.mark.parametrize("module", [module for module in MODULES if is_in(module, ["web.server"])])
def test_web_server_module_imports_nothing_of_bybit(module: str) -> None:
    outside = {imported for imported in own_imports(module) if not is_in(imported, ["web.server"])}
    assert {layer(imported) for imported in outside} <= WEB_SERVER


def test_modules_import_each_other_without_circles() -> None:
    graph = {module: own_imports(module) - {module} for module in MODULES}
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("library", LIBRARY_OWNERS)
def test_library_is_imported_by_its_owners_only(library: str) -> None:
    users = {module for module in MODULES if library in libraries(module)}
    assert users
    assert {user for user in users if not is_in(user, LIBRARY_OWNERS[library])} == set()


def private_names(source: str) -> list[str]:
    """Names that begin with an underscore and are imported from, read off, or set on an imported library."""
    tree = ast.parse(source)
    found, imported = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and not (node.module or "").startswith(PACKAGE):
            imported |= {alias.asname or alias.name for alias in node.names}
            found += [f"{node.module}.{alias.name}" for alias in node.names if is_private(alias.name)]
        elif isinstance(node, ast.Import):
            imported |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner: ast.expr = node.value
            while isinstance(owner, ast.Attribute):
                owner = owner.value
            if isinstance(owner, ast.Name) and owner.id in imported:
                found.append(ast.unparse(node))
    return found


def is_private(name: str) -> bool:
    """``os._exit`` is public: it is documented."""
    return name != "_exit" and name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def private_texts(source: str) -> list[str]:
    """Private names that are given to `getattr` and the like as a text: ``getattr(x, "_y")``."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        ast.unparse(call)
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in ("getattr", "setattr", "hasattr", "delattr")
        if len(call.args) > 1 and isinstance(call.args[1], ast.Constant) and is_private(str(call.args[1].value))
    ]


def inherited_private_names(module: ModuleType) -> list[str]:
    """Private names of a library's class that a class of the module, which inherits from it, defines or uses."""
    found = []
    for own in vars(module).values():
        if not isinstance(own, type) or own.__module__ != module.__name__:
            continue
        foreign = {name for base in own.__mro__ if is_from_library(base) for name in names_in(base) if is_private(name)}
        found += [f"{own.__name__}.{name}" for name in sorted(names_in(own) & foreign - {"_abc_impl"})]
    return found


UNCHECKED_BASES = {"builtins", "enum", "abc", "typing", "collections.abc", "dataclasses"}
"""Classes that set up private names on those that inherit from them, as the language wants it."""


def is_from_library(base: type) -> bool:
    return base.__module__.partition(".")[0] not in {PACKAGE, *UNCHECKED_BASES}


@cache
def names_in(owner: type) -> set[str]:
    """Attributes of a class: those it has, and those its methods read from or set on `self`."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    except (OSError, TypeError):  # it is written in C, or made by a function
        return set(vars(owner))
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")}
    used |= {node.attr for node in attributes if ast.unparse(node.value) == "super()"}
    return used | set(vars(owner))


def test_private_names_of_libraries_are_found() -> None:
    assert private_names("import http.client\nhttp.client._read_headers(fp)") == ["http.client._read_headers"]
    assert private_names("from asyncio import _x") == ["asyncio._x"]
    assert private_names("import ssl\nssl.A._max = 1") == ["ssl.A._max"]
    assert private_texts("setattr(server, '_loop', None)") == ["setattr(server, '_loop', None)"]


def test_private_names_of_inherited_library_classes_are_found() -> None:
    module = ModuleType("bybit_exporter.example")
    source = "import http.client\nclass Own(http.client.HTTPResponse):\n    def _read_status(self): return ()\n"
    exec(source, vars(module))
    assert inherited_private_names(module) == ["Own._read_status"]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_module_uses_public_names_of_libraries_only(module: str) -> None:
    source = MODULES[module].read_text()
    assert private_names(source) + private_texts(source) == []


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"__main__", "sandbox.__main__"}))
def test_module_inherits_no_private_names_of_libraries(module: str) -> None:
    assert inherited_private_names(importlib.import_module(f"{PACKAGE}.{module}".removesuffix("."))) == []


def test_launchers_import_command_line_only() -> None:
    assert own_imports("__main__") == {"cli"}
    tree = ast.parse((ROOT / "exporter.py").read_text())
    sources = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert sources == [f"{PACKAGE}.cli"]
