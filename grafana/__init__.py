"""The Grafana dashboards as code: ``python -m grafana`` writes ``grafana/dashboards/*.json``."""

from .build import dashboards

__all__ = ["dashboards"]
