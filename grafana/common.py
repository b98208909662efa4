"""What both dashboards share: who is looked at, the states of an account, the marks and the alerts."""

from __future__ import annotations

from .panels import AMBER, GREEN, RED, Column, Json, Look, annotation, mapping, table, variable

BALANCES_UID, OPERATIONS_UID = "bybit-balances", "bybit-exporter"

ACCOUNT = 'account=~"$account"'
BY_ACCOUNT = "account, account_type"

ACCOUNT_VARIABLE = variable("account", "Account", "label_values(bybit_polls_total, account)")

STATUS = mapping({0: ("no answer", AMBER), 1: ("normal", GREEN), 2: ("unknown", AMBER), 3: ("BANNED", RED)})


def of_account(metric: str) -> str:
    """One value for each account, whichever exporters report it: two may watch the same account."""
    return f"max by ({BY_ACCOUNT}) ({metric}{{{ACCOUNT}}})"


REASON_OF_FAILURE = (
    f"topk by ({BY_ACCOUNT}) (1, "
    f"sum by ({BY_ACCOUNT}, reason) (increase(bybit_poll_failures_total{{{ACCOUNT}}}[15m]))) > 0"
)


def _entered(statuses: str) -> str:
    """Where an account is in a status in which it was not one step before. A ban shorter than a step is not lost."""
    status = f'bybit_account_status{{{ACCOUNT}, status=~"{statuses}"}}'
    return (
        f"max by ({BY_ACCOUNT}, status) (max_over_time({status}[$__interval])) == 1 "
        f"unless max by ({BY_ACCOUNT}, status) ({status} offset $__interval) == 1"
    )


ANNOTATIONS = [
    annotation("Banned or unknown", RED, _entered("banned|unknown"), "{{account}}: {{status}}", "account,status"),
    annotation("Normal again", GREEN, _entered("normal"), "{{account}}: {{status}}", "account,status"),
]


def alerts() -> Json:
    """The alerts that fire, as far as Prometheus has the project's rules."""
    # An alert without an account is about the exporter, and is shown whatever account is chosen.
    firing = 'ALERTS{alertname=~"Bybit.+", alertstate="firing", account=~"$account|"}'
    return table(
        "Alerts",
        "The alerts that fire, from prometheus/alerts.yml. What to do about each is in docs/runbooks.md. Empty also if "
        "this Prometheus does not have the rules.",
        [Column("Firing", f"max by (alertname, account, coin, severity) ({firing})", hidden=True)],
        {"severity": "Severity", "alertname": "Alert", "account": "Account", "coin": "Coin"},
        Look(no_value="No alert fires, if this Prometheus has the rules."),
        {"severity": {"custom.cellOptions": {"type": "color-text"}, "mappings": [_SEVERITY]}},
    )


_SEVERITY: Json = {
    "type": "value",
    "options": {
        "critical": {"text": "critical", "color": RED, "index": 0},
        "warning": {"text": "warning", "color": AMBER, "index": 1},
    },
}
