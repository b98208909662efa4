"""Builds both dashboards from the settings that the alert rules have, too."""

from __future__ import annotations

import json

from mixin.settings import Settings

from .balances import balances_dashboard
from .exporter import exporter_dashboard
from .panels import Json
from .queries import Queries


def dashboards(settings: Settings) -> dict[str, Json]:
    """The dashboards by the name of their file."""
    queries = Queries(settings)
    return {"bybit-balances.json": balances_dashboard(queries), "bybit-exporter.json": exporter_dashboard(queries)}


def text_of(dashboard: Json) -> str:
    """The content of a dashboard's file."""
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"
