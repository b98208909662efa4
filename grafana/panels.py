"""Queries and panels, in the JSON that Grafana stores.

The JSON is that of Grafana 10.0, which later versions read and migrate. Options that came later are given as well;
Grafana 10 ignores them. ``tests/grafana-types`` checks the result with Grafana's own types, of 10.4 and of 13.

Panels that show the present use instant queries. Of a range query, Grafana would show the last value there is, so an
old value would look current.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any

Json = dict[str, Any]

SCHEMA_VERSION = 38  # Grafana 10.0
PLUGIN_VERSION = "10.0.0"
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}

GREEN, AMBER, RED, DARK_RED, GREY, NONE = "green", "orange", "red", "dark-red", "text", "transparent"


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression; the legend names its series and may contain ``{{label}}``."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: the expression that fills it, and how its values are shown."""

    title: str
    expr: str
    properties: Json = field(default_factory=dict)
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Display:
    """How values are shown. ``steps`` are the thresholds: a colour, and the value from which it holds.

    The first step has no value. Grafana colours with it what has no value, too; so it is never a colour that judges.
    """

    unit: str = "none"
    decimals: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    mappings: Sequence[Json] = ()
    steps: Sequence[tuple[str, float | None]] = ((GREY, None),)
    no_value: str = ""

    def defaults(self, color: str, custom: Json | None = None) -> Json:
        """The ``fieldConfig.defaults``, coloured by thresholds or by series."""
        optional = {
            "decimals": self.decimals,
            "min": self.minimum,
            "max": self.maximum,
            "noValue": self.no_value or None,
            "custom": custom,
        }
        return {
            "unit": self.unit,
            "color": {"mode": color},
            "mappings": list(self.mappings),
            "thresholds": thresholds(*self.steps),
            **{key: value for key, value in optional.items() if value is not None},
        }


def thresholds(*steps: tuple[str, float | None]) -> Json:
    """Colours by absolute value."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]}


def mapping(texts: dict[int, tuple[str, str]]) -> Json:
    """Shows numbers as words of a colour."""
    options = {
        str(value): {"text": text, "color": color, "index": index}
        for index, (value, (text, color)) in enumerate(texts.items())
    }
    return {"type": "value", "options": options}


def override(name: str, properties: Json) -> Json:
    """Other properties for the series or column of this name."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


_LATEST: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}


def stat(
    title: str,
    description: str,
    queries: Sequence[Query],
    display: Display,
    text: str = "auto",
    overrides: Sequence[Json] = (),
) -> Json:
    """A coloured tile for each series, of this moment. ``text`` is ``value``, ``value_and_name`` or ``name``."""
    options = {
        "reduceOptions": _LATEST,
        "orientation": "auto",
        "textMode": text,
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    }
    targets = [_instant(query, "time_series") for query in queries]
    return _panel("stat", title, description, targets, display.defaults("thresholds"), options, overrides)


def bar_gauge(title: str, description: str, queries: Sequence[Query], display: Display) -> Json:
    """A bar for each series, of this moment, between the least and the greatest value."""
    options = {
        "reduceOptions": _LATEST,
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "color",
        "namePlacement": "auto",
        "showUnfilled": True,
        "sizing": "auto",
        "minVizWidth": 8,
        "minVizHeight": 16,
        "maxVizHeight": 60,
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
    }
    targets = [_instant(query, "time_series") for query in queries]
    return _panel("bargauge", title, description, targets, display.defaults("thresholds"), options)


def table(
    title: str,
    description: str,
    columns: Sequence[Column],
    labels: dict[str, str],
    display: Display,
    label_properties: dict[str, Json] | None = None,
    sort_by: str = "",
    *,
    filterable: bool = False,
) -> Json:
    """A row for each set of labels, of this moment. ``labels`` has the title of each label's column; "" hides it.

    The first column's expression must have every row: where it is the only query with series, Grafana calls its column
    just "Value". ``sort_by`` is the title of the column that orders the rows, greatest first.
    """
    fields = {f"Value #{ref}": column for ref, column in zip(ascii_uppercase, columns, strict=False)}
    fields["Value"] = columns[0]
    hidden = [label for label, title in labels.items() if not title]
    hidden += [name for name, column in fields.items() if column.hidden]
    organize = {
        "excludeByName": {"Time": True, **dict.fromkeys(hidden, True)},
        "indexByName": {name: index for index, name in enumerate([*labels, *fields])},
        "renameByName": {label: title for label, title in labels.items() if title}
        | {name: column.title for name, column in fields.items()},
    }
    shown = [override(column.title, column.properties) for column in columns if column.properties and not column.hidden]
    shown += [
        override(heading, {"noValue": "-", **(label_properties or {}).get(label, {})})
        for label, heading in labels.items()
        if heading
    ]
    options: Json = {"showHeader": True, "cellHeight": "sm", "frameIndex": 0}
    if sort_by:
        options["sortBy"] = [{"displayName": sort_by, "desc": True}]
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False, "filterable": filterable}
    panel = _panel(
        "table",
        title,
        description,
        [_instant(Query(column.expr), "table") for column in columns],
        display.defaults("thresholds", custom),
        options,
        shown,
    )
    panel["transformations"] = [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]
    return panel


def state_timeline(title: str, description: str, queries: Sequence[Query], display: Display) -> Json:
    """States over time, a lane for each series. Gaps are not filled."""
    options = {
        "mergeValues": True,
        "showValue": "auto",
        "alignValue": "left",
        "rowHeight": 0.85,
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    custom = {"fillOpacity": 80, "lineWidth": 0, "spanNulls": False, "insertNulls": False}
    targets = [_range(query) for query in queries]
    return _panel("state-timeline", title, description, targets, display.defaults("thresholds", custom), options)


def timeseries(
    title: str,
    description: str,
    queries: Sequence[Query],
    display: Display,
    *,
    style: Json | None = None,
    overrides: Sequence[Json] = (),
) -> Json:
    """Curves over time. The legend has no values: the last one of a curve that has ended would look current."""
    custom: Json = {
        "drawStyle": "line",
        "lineInterpolation": "stepAfter",  # a value holds until the next one
        "lineWidth": 1,
        "fillOpacity": 0,
        "showPoints": "auto",
        "pointSize": 4,
        "spanNulls": False,
        "insertNulls": False,
        "axisPlacement": "auto",
        "stacking": {"group": "A", "mode": "none"},
        "thresholdsStyle": {"mode": "dashed" if len(display.steps) > 1 else "off"},
        **(style or {}),
    }
    options = {
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    targets = [_range(query) for query in queries]
    defaults = display.defaults("palette-classic", custom)
    return _panel("timeseries", title, description, targets, defaults, options, overrides)


STACKED = {"fillOpacity": 40, "axisSoftMin": 0, "stacking": {"group": "A", "mode": "normal"}}
BARS = {"drawStyle": "bars", "fillOpacity": 80, "stacking": {"group": "A", "mode": "normal"}}


def _instant(query: Query, form: str) -> Json:
    return {"expr": query.expr, "legendFormat": query.legend, "instant": True, "range": False, "format": form}


def _range(query: Query) -> Json:
    return {"expr": query.expr, "legendFormat": query.legend, "instant": False, "range": True, "format": "time_series"}


def _panel(
    kind: str,
    title: str,
    description: str,
    targets: Iterable[Json],
    defaults: Json,
    options: Json,
    overrides: Sequence[Json] = (),
) -> Json:
    common = {"datasource": DATASOURCE, "editorMode": "code"}
    return {
        "type": kind,
        "title": title,
        "description": description,
        "pluginVersion": PLUGIN_VERSION,
        "datasource": DATASOURCE,
        "targets": [{"refId": ref, **common, **target} for ref, target in zip(ascii_uppercase, targets, strict=False)],
        "fieldConfig": {"defaults": defaults, "overrides": list(overrides)},
        "options": options,
    }
