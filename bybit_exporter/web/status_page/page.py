"""The status page: what is known now, rendered whole for each request.

The page works without its script, which only asks for the same address again and puts what is new in place. So there
is one way in which anything is sorted, filtered and shown: here. Rendering is bounded (`MAX_ROWS`, `MAX_BRIEF`).
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

import jinja2
from markupsafe import Markup

from ... import __version__, clock
from ...metrics.state import AccountState, Cached
from ...metrics.store import Store
from ...model import ApiKey, Balance, Resource, Subaccount
from ...sharding import SINGLE_SHARD, Shard
from .formatting import Badge, Level, ago, ahead, badges, explanation, usd, utc, visible
from .query import SORTS, Query
from .sparkline import HEIGHT, WIDTH, Sparkline, sparkline

MAX_ROWS = 550
"""So many lines are shown; an account takes one for each of its coins and `HEAD_ROWS` for itself."""

HEAD_ROWS = 4

MAX_BRIEF = 500
"""So many further accounts are listed with their status alone. The rest is counted, and found by the filter."""

REFRESH_SECONDS = 5
REFRESH_WITHOUT_SCRIPT_SECONDS = 30


@dataclass(slots=True)
class Shown:
    """An account on the page. `balances` are those to be shown, as far as there is room; None if none is current."""

    state: AccountState
    badges: Sequence[Badge]
    balances: Sequence[Balance] | None
    room: int = 0
    hidden_coins: int = 0
    lines: Mapping[str, Sparkline | None] | None = None
    worth: Worth | None = None
    """All that the account holds, whatever is shown."""
    subaccounts: Sequence[Subaccount] = ()

    @property
    def level(self) -> Level:
        return self.badges[0].level


@dataclass(frozen=True, slots=True)
class Worth:
    """What something is worth in US dollars, and the coins that are missing in that since they have no price."""

    usd: Decimal
    without: Sequence[str] = ()

    def __add__(self, other: Worth) -> Worth:
        return Worth(self.usd + other.usd, tuple(dict.fromkeys((*self.without, *other.without))))


def worth(balances: Iterable[Balance], prices: Mapping[str, Decimal]) -> Worth:
    """What these balances are worth; those of nothing need no price."""
    held = [balance for balance in balances if balance.total]
    priced = sum((balance.total * prices[balance.coin] for balance in held if balance.coin in prices), Decimal(0))
    return Worth(priced, tuple(balance.coin for balance in held if balance.coin not in prices))


def render(
    store: Store,
    parameters: Mapping[str, str],
    *,
    telemetry_path: str = "/metrics",
    demo: bool = False,
    shard: Shard = SINGLE_SHARD,
    now: Callable[[], float] = clock.wall,
) -> tuple[str, str]:
    """The page as it is now, and the Content-Security-Policy to send with it. ``now`` is Unix time."""
    query = Query.of(parameters)
    wall = now()
    known_prices = store.prices
    prices = known_prices.value.usd if known_prices.value else {}
    everything = [_shown(state, store, prices, wall) for state in store.accounts()]
    full, brief = _lay_out(_matching(everything, query))
    for shown in full:
        _complete(shown, query, store)
    html = _template.render(
        wall=wall,
        prices=prices,
        prices_fail=known_prices.up is False,
        not_counted=sum(shown.state.holdings is None for shown in everything),
        worth=sum((shown.worth for shown in everything if shown.worth), Worth(Decimal(0))) if prices else None,
        now=store.now(),
        full=full,
        brief=brief[:MAX_BRIEF],
        unlisted=len(brief) - len(brief[:MAX_BRIEF]),
        counts=Counter(shown.level for shown in everything),
        total=len(everything),
        query=query,
        telemetry_path=telemetry_path,
        demo=demo,
        shard=shard,
    )
    return html, CONTENT_SECURITY_POLICY


def _shown(state: AccountState, store: Store, prices: Mapping[str, Decimal], wall: float) -> Shown:
    subaccounts: Cached[Sequence[Subaccount]] = store.cached(Resource.SUBACCOUNTS, state.account)
    key: Cached[ApiKey] = store.cached(Resource.API_KEY, state.account)
    return Shown(
        state,
        badges(state, key, subaccounts, wall),
        state.holdings,
        worth=worth(state.holdings, prices) if prices and state.holdings else None,
        subaccounts=subaccounts.value or (),
    )


def _matching(everything: Iterable[Shown], query: Query) -> list[Shown]:
    """The accounts that the filter finds, worst first: by name or state with all coins, else with those it finds."""
    found = []
    for shown in everything:
        account = shown.state.account
        reason = shown.state.failure.reason if shown.state.failure else ""
        words = [shown.state.account_type, reason, *(badge.text for badge in shown.badges)]
        if not (query.matches(account.name) or any(map(query.begins, words))):
            shown.balances = [balance for balance in shown.balances or () if query.matches(balance.coin)]
            if not shown.balances:
                continue
        found.append(shown)
    return sorted(found, key=lambda shown: shown.badges[0].severity)


def _lay_out(found: Sequence[Shown]) -> tuple[Sequence[Shown], Sequence[Shown]]:
    """Which accounts are shown with their coins, the last of them perhaps not with all, and which in brief."""
    left = MAX_ROWS
    for index, shown in enumerate(found):
        left -= HEAD_ROWS
        if left <= 0:
            return found[:index], found[index:]
        shown.room = left
        left -= len(shown.balances or ())
    return found, ()


def _complete(shown: Shown, query: Query, store: Store) -> None:
    """Puts the coins in order, as many as there is room for, and adds their lines."""
    if shown.balances is None:
        return
    balances = query.ordered(shown.balances)
    shown.balances, shown.hidden_coins = balances[: shown.room], len(balances[shown.room :])
    points = store.history.last_hour(shown.state.account, store.now())
    shown.lines = {each.coin: sparkline(points[each.coin]) for each in shown.balances if each.coin in points}


_TEMPLATES = files(__package__) / "templates"
_STYLE = (_TEMPLATES / "page.css").read_text("utf-8")
_SCRIPT = (_TEMPLATES / "page.js").read_text("utf-8")


def _hash(inline: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"


CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_hash(_STYLE)}",
        f"script-src {_hash(_SCRIPT)}",
        "connect-src 'self'",
        "img-src data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("bybit_exporter.web.status_page"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_environment.filters["restricted"] = lambda subaccounts: [each for each in subaccounts if each.status != "normal"]
_environment.filters |= {"usd": usd}
_environment.filters |= {"amount": "{:f}".format, "visible": visible, "explanation": explanation}
_environment.filters |= {"utc": utc, "ago": ago, "ahead": ahead}
_environment.globals |= {
    "style": Markup(_STYLE),  # noqa: S704  ours, and the hashes are of exactly this
    "script": Markup(_SCRIPT),  # noqa: S704
    "version": __version__,
    "refresh_seconds": REFRESH_SECONDS,
    "refresh_without_script_seconds": REFRESH_WITHOUT_SCRIPT_SECONDS,
    "sorts": SORTS,
    "inf": math.inf,
    "line_width": WIDTH,
    "line_height": HEIGHT,
}
_template = _environment.get_template("status.html")
