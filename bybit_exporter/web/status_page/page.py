"""The status page: what is known now, as one document.

The page works without its script, which only requests the same address again and replaces what is new. So sorting,
filtering and formatting happen in one place: here. Rendering is bounded (`view.MAX_ROWS`, `view.MAX_BRIEF`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache, partial
from importlib.resources import files

import jinja2
from markupsafe import Markup

from ... import __version__, clock
from ...metrics.store import Store
from ...model import Resource
from ...sharding import SINGLE_SHARD, Shard
from ..theme import THEME, csp_hash
from . import formatting, view
from .badges import CRITICAL_MARGIN_RATIO, HIGH_MARGIN_RATIO, Badge, Level, explanation, margin_level
from .page_cache import Page
from .query import SORTS, Query
from .sparkline import HEIGHT, WIDTH
from .view import UsdTotal

REFRESH_SECONDS = 5.0
REFRESH_WITHOUT_SCRIPT_SECONDS = 30.0


def render(
    store: Store,
    query: Query = Query(),  # noqa: B008  frozen
    *,
    telemetry_path: str = "/metrics",
    demo: bool = False,
    shard: Shard = SINGLE_SHARD,
    now: Callable[[], float] = clock.wall,
) -> Page:
    """Renders the page as it is now. ``now`` is Unix time."""
    wall, generation = now(), store.generation
    prices = store.cached(Resource.PRICES)
    everything = [view.view_account(state, store, wall) for state in store.accounts()]
    valid_until = min([prices.valid_until, *(account.valid_until for account in everything)])
    totals = [account.usd_total for account in everything if account.usd_total]
    not_valued = sum(account.usd_total is None and account.holds_something for account in everything)
    full, brief = view.lay_out(view.matching(everything, query))
    for account in full:
        view.complete(account, query, store)
    html = _template.render(
        wall=wall,
        prices_fail=prices.up is False,
        not_counted=sum(account.state.balances is None for account in everything),
        not_valued=not_valued,
        usd_total=sum(totals, UsdTotal()) if totals else None,
        now=store.now(),
        full=full,
        brief=brief[: view.MAX_BRIEF],
        unlisted=len(brief[view.MAX_BRIEF :]),
        counts=Counter(account.level for account in everything),
        total=len(everything),
        query=query,
        telemetry_path=telemetry_path,
        demo=demo,
        shard=shard,
        refresh_seconds=REFRESH_SECONDS,
        refresh_without_script_seconds=REFRESH_WITHOUT_SCRIPT_SECONDS,
    )
    return Page(html, valid_until, generation)


_ICONS = {
    level.value: Markup(f'<svg class="icon" aria-hidden="true"><use href="#icon-{level}"/></svg>')  # noqa: S704
    for level in Level
}


@lru_cache(maxsize=256)  # most accounts have the same few
def _badge_label(badge: Badge) -> Markup:
    return Markup('<span class="badge {}">{}{}</span>').format(badge.level.value, _ICONS[badge.level], badge.text)


def _moment(timestamp: float, words: str) -> Markup:
    """Renders a time in words, with the Unix time behind it as a tooltip."""
    text = formatting.utc(timestamp)
    return Markup(f'<time datetime="{text}" title="{text}">{words}</time>')  # noqa: S704  digits and our own words


def _cell(value: Decimal | None, rows: int = 1, show: Callable[[Decimal], str] = formatting.amount) -> Markup:
    """Renders a table cell with an amount. The cell spans ``rows`` rows. A negative amount is a debt."""
    kind = "unstated" if value is None else "debt" if value < 0 else "" if value else "zero"
    attributes = (f' class="{kind}"' if kind else "") + (f' rowspan="{rows}"' if rows > 1 else "")
    text = formatting.NOT_STATED if value is None else show(value)
    return Markup(f"<td{attributes}>{text}</td>")  # noqa: S704  digits and signs only


def _borrowed_cell(value: Decimal | None) -> Markup:
    """Renders a table cell with a debt that the exchange states as a positive amount."""
    return _cell(None if value is None else -value)


_TEMPLATES = files(__package__) / "templates"
_STYLE = THEME + (_TEMPLATES / "page.css").read_text("utf-8")
_SCRIPT = (_TEMPLATES / "page.js").read_text("utf-8")

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src {csp_hash(_STYLE)}; script-src {csp_hash(_SCRIPT)}; connect-src 'self'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("bybit_exporter.web.status_page"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_environment.filters |= {"amount": formatting.amount, "usd": formatting.usd, "percent": formatting.percent}
_environment.filters |= {"cell": _cell, "usd_cell": partial(_cell, show=formatting.usd)}
_environment.filters |= {"visible": formatting.visible, "explanation": explanation, "margin_level": margin_level}
_environment.filters |= {"borrowed_cell": _borrowed_cell, "badge_label": _badge_label, "moment": _moment}
_environment.filters |= {"utc": formatting.utc, "ago": formatting.ago, "ahead": formatting.ahead}
_environment.globals |= {
    "style": Markup(_STYLE),  # noqa: S704  ours, and the hashes are of exactly this
    "script": Markup(_SCRIPT),  # noqa: S704
    "version": __version__,
    "counted": formatting.counted,
    "not_stated": formatting.NOT_STATED,
    "sorts": SORTS,
    "levels": list(Level),
    "icons": _ICONS,
    "high_ratio": HIGH_MARGIN_RATIO,
    "critical_ratio": CRITICAL_MARGIN_RATIO,
    "max_groups": view.MAX_GROUPS,
    "inf": math.inf,
    "line_width": WIDTH,
    "line_height": HEIGHT,
}
_template = _environment.get_template("status.html")
