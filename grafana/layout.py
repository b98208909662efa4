"""How a dashboard is put together: rows of panels, variables, annotations and links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .panels import DATASOURCE, SCHEMA_VERSION, Json


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side, each with its width (all widths of a row: 24), or the heading of a section."""

    height: int
    panels: Sequence[tuple[int, Json]]


def section(title: str, repeat: str = "") -> Row:
    """The heading of a section."""
    heading: Json = {"type": "row", "title": title, "collapsed": False, "panels": []}
    if repeat:
        heading["repeat"] = repeat
    return Row(1, [(24, heading)])


def lay_out(rows: Iterable[Row]) -> list[Json]:
    """The panels with their ids and places, row under row."""
    placed: list[Json] = []
    y = 0
    for row in rows:
        x = 0
        for width, panel in row.panels:
            place = {"h": row.height, "w": width, "x": x, "y": y}
            placed.append({"id": len(placed) + 1, "gridPos": place, **panel})
            x += width
        y += row.height
    return placed


def variable(name: str, label: str, query: str) -> Json:
    """A variable to choose one, several or all values of a label."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": query,
        "regex": "",
        "refresh": 2,  # whenever the time range changes
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "options": [],
        "skipUrlSync": False,
    }


DATASOURCE_VARIABLE: Json = {
    "name": "datasource",
    "label": "Data source",
    "type": "datasource",
    "query": "prometheus",
    "regex": "",
    "refresh": 1,
    "multi": False,
    "includeAll": False,
    "hide": 0,
    "options": [],
    "skipUrlSync": False,
}


def annotation(name: str, color: str, expr: str, title: str, tags: str) -> Json:
    """Marks where an expression is positive. Grafana 10 reads ``expr``, later versions ``target``."""
    return {
        "name": name,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "datasource": DATASOURCE,
        "expr": expr,
        "step": "60s",
        "target": {"refId": "Anno", "expr": expr, "interval": "60s"},
        "titleFormat": title,
        "textFormat": "",
        "tagKeys": tags,
        "useValueForTime": False,
    }


def link_to(uid: str, title: str, tooltip: str) -> Json:
    """A link to another dashboard with the same time range and variables."""
    return {
        "type": "link",
        "url": f"/d/{uid}",
        "title": title,
        "tooltip": tooltip,
        "icon": "dashboard",
        "keepTime": True,
        "includeVars": True,
        "asDropdown": False,
        "targetBlank": False,
        "tags": [],
    }


def account_link(uid: str, title: str, identity: Sequence[str]) -> Json:
    """Links the cells that name an account to the other dashboard, for this account."""
    kept = "&".join(f"${{{variable}:queryparam}}" for variable in ("datasource", *identity))
    url = f"/d/{uid}?{kept}&var-account=${{__value.raw:percentencode}}&${{__url_time_range}}"
    return {"links": [{"title": title, "url": url}]}


def dashboard(
    uid: str,
    title: str,
    description: str,
    rows: Iterable[Row],
    variables: Sequence[Json],
    annotations: Sequence[Json],
    links: Sequence[Json],
    hours: int,
) -> Json:
    """A whole dashboard. It has no id and names no data source, so it can be imported and provisioned anywhere."""
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["bybit"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": f"now-{hours}h", "to": "now"},
        "refresh": "30s",
        "links": list(links),
        "templating": {"list": [DATASOURCE_VARIABLE, *variables]},
        "annotations": {"list": list(annotations)},
        "panels": lay_out(rows),
    }
