"""The Grafana dashboards as code: ``python -m mixin`` writes ``grafana/dashboards/*.json``."""
