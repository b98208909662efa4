"""The status page."""

from __future__ import annotations

import jinja2

from .. import __version__
from ..store import Store
from .app import WebOptions

_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("bybit_exporter.web"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_environment.filters["amount"] = lambda number: f"{number:f}"


def render(store: Store, options: WebOptions) -> str:
    """The page as it is now."""
    return _environment.get_template("status.html").render(
        accounts=store.accounts(), options=options, version=__version__
    )
