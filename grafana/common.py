"""What both dashboards have: variables, annotations, the table of alerts, the words for states and the formats."""

from __future__ import annotations

from .layout import account_link, annotation, variable
from .panels import AMBER, GREEN, GREY, NONE, RED, Column, Display, Json, mapping, table, thresholds
from .queries import ACCOUNT, WALLET, Queries

BALANCES_UID, EXPORTER_UID = "bybit-balances", "bybit-exporter"

STATUS_COLORS = {0: ("no answer", AMBER), 1: ("normal", GREEN), 2: ("unknown", AMBER)}
STATUS = mapping({**STATUS_COLORS, 3: ("BANNED", RED)})
READING = mapping({0: ("failed", RED), 1: ("ok", GREEN)})

NOT_STATED = "not stated"

# Below every amount. Grafana compares a first step of an override with 0 if it has no number, so steps for negative
# values begin with one.
LOWEST, BELOW_LOWEST = -1e18, -1e19

# What has no value has no colour.
COLORED: Json = {"custom.cellOptions": {"type": "color-background"}, "thresholds": thresholds((NONE, None))}

# Negative amounts are debts.
DEBT_STEPS = [(GREY, BELOW_LOWEST), (RED, LOWEST), (GREY, 0.0)]
DEBTS_IN_RED: Json = {"custom.cellOptions": {"type": "color-text"}, "thresholds": thresholds(*DEBT_STEPS)}

# Every digit that the exchange states. Sums of floats are exact to fewer digits.
EXACT: Json = {"unit": "locale", "decimals": 18}
SUM: Json = {"unit": "locale", "decimals": 8}


def usd(no_value: str) -> Json:
    """The format of a column of US dollars."""
    return {"unit": "locale", "decimals": 2, "noValue": no_value} | DEBTS_IN_RED


def to_balances(queries: Queries) -> dict[str, Json]:
    """Links each account to the dashboard with its balances."""
    return {"account": account_link(BALANCES_UID, "Balances of ${__value.raw}", queries.settings.identity)}


def to_exporter(queries: Queries) -> dict[str, Json]:
    """Links each account to the dashboard with its polls."""
    return {"account": account_link(EXPORTER_UID, "How ${__value.raw} is polled", queries.settings.identity)}


def variables(queries: Queries) -> list[Json]:
    """The identity's labels, account and wallet. Where series lack a label, "All" is its only value."""
    polls = queries.settings.selector
    chosen: list[str] = [polls] if polls else []
    found = []
    for label in queries.settings.identity:
        found.append(variable(label, label.capitalize(), _values(chosen, label)))
        chosen = [*chosen, f'{label}=~"${label}"']
    account = queries.select("bybit_polls_total")
    wallet = queries.select("bybit_polls_total", ACCOUNT)
    return [
        *found,
        variable("account", "Account", f"label_values({account}, account)"),
        variable("wallet", "Wallet", f"label_values({wallet}, account_type)"),
    ]


def _values(matchers: list[str], label: str) -> str:
    return f"label_values(bybit_polls_total{{{', '.join(matchers)}}}, {label})"


def status_annotations(queries: Queries) -> list[Json]:
    """Marks where an account was banned, and where it was normal again."""
    title = queries.legend("{{account}}: {{status}}")
    return [
        annotation("Banned or unknown", RED, _entered(queries, "banned|unknown"), title, "account,status"),
        annotation("Normal again", GREEN, _entered(queries, "normal"), title, "account,status"),
    ]


def _entered(queries: Queries, statuses: str) -> str:
    """True where an account is in a status that it was not in one step before. Finds bans shorter than a step."""
    status = queries.select("bybit_account_status", ACCOUNT, WALLET, f'status=~"{statuses}"')
    by = queries.by("account", "account_type", "status")
    return (
        f"max by ({by}) (max_over_time({status}[$__interval])) == 1 "
        f"unless max by ({by}) ({status} offset $__interval) == 1"
    )


def alerts(queries: Queries) -> Json:
    """The alerts that fire, as far as Prometheus has the project's rules."""
    # Alerts without an account, cluster or namespace are shown whatever is chosen.
    labels = [*queries.settings.identity, "account"]
    chosen = ", ".join(f'{label}=~"${label}|"' for label in labels)
    firing = f'ALERTS{{alertname=~"Bybit.+", alertname!="BybitWatchdog", alertstate="firing", {chosen}}}'
    by = queries.by("alertname", "account", "subaccount", "coin", "severity")
    columns = queries.columns(account="Account", subaccount="Subaccount", coin="Coin")
    return table(
        "Alerts",
        "The alerts that fire, from prometheus/alerts.yml. docs/runbooks.md says what to do about each. Also empty if "
        "this Prometheus does not have the rules.",
        [Column("Firing", f"max by ({by}) ({firing})", hidden=True)],
        {"severity": "Severity", "alertname": "Alert", **columns},
        Display(no_value="No alert fires, if this Prometheus has the rules."),
        {
            "severity": {"custom.cellOptions": {"type": "color-text"}, "custom.width": 80, "mappings": [_SEVERITY]},
            "alertname": {"custom.width": 220},
        },
    )


_SEVERITY: Json = {
    "type": "value",
    "options": {
        "critical": {"text": "critical", "color": RED, "index": 0},
        "warning": {"text": "warning", "color": AMBER, "index": 1},
    },
}
