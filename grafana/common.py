"""What both dashboards share: who is looked at and what is held, the states of an account, the marks, the alerts."""

from __future__ import annotations

from .layout import annotation, variable
from .panels import AMBER, GREEN, GREY, RED, Column, Json, Look, mapping, table

BALANCES_UID, OPERATIONS_UID = "bybit-balances", "bybit-exporter"

ACCOUNT = 'account=~"$account"'
WALLET = f'{ACCOUNT}, account_type=~"$wallet"'
COIN = 'coin=~"$coin"'
HELD = f"{WALLET}, {COIN}"

BY_ACCOUNT = "account, account_type"
BY_COIN = f"{BY_ACCOUNT}, coin"

ACCOUNT_VARIABLES = [
    variable("account", "Account", "label_values(bybit_polls_total, account)"),
    variable("wallet", "Wallet", f"label_values(bybit_polls_total{{{ACCOUNT}}}, account_type)"),
]

STATUS_COLORS = {0: ("no answer", AMBER), 1: ("normal", GREEN), 2: ("unknown", AMBER)}
STATUS = mapping({**STATUS_COLORS, 3: ("BANNED", RED)})
READING = mapping({0: ("failed", RED), 1: ("ok", GREEN)})

# Every digit that the exchange states; sums of floats are exact to fewer.
EXACT = {"unit": "locale", "decimals": 18}
SUM = {"unit": "locale", "decimals": 8}

# Somebody owes more than he has.
USD = [(RED, None), (GREY, 0.0)]

PRICE = f"max by (coin) (bybit_coin_price_usd{{{COIN}}})"


def of_account(metric: str) -> str:
    """One value for each account, whichever exporters report it: two may watch the same account."""
    return f"max by ({BY_ACCOUNT}) ({metric}{{{WALLET}}})"


def total(when: str = "") -> str:
    """Free, frozen and withdrawing together, of one of the exporters that report them."""
    held = f'{{__name__=~"bybit_asset_(free|frozen|withdrawing)", {HELD}}}{when}'
    return f"sum by ({BY_COIN}) (max by (__name__, {BY_COIN}) ({held}))"


def worth(amounts: str) -> str:
    """These amounts of coins in USD, as far as the coins have a price."""
    return f"({amounts}) * on (coin) group_left () {PRICE}"


REASON_OF_FAILURE = (
    f"topk by ({BY_ACCOUNT}) (1, "
    f"sum by ({BY_ACCOUNT}, reason) (increase(bybit_poll_failures_total{{{WALLET}}}[15m]))) > 0"
)


def _entered(statuses: str) -> str:
    """Where an account is in a status in which it was not one step before. A ban shorter than a step is not lost."""
    status = f'bybit_account_status{{{WALLET}, status=~"{statuses}"}}'
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
        [Column("Firing", f"max by (alertname, account, subaccount, coin, severity) ({firing})", hidden=True)],
        {
            "severity": "Severity",
            "alertname": "Alert",
            "account": "Account",
            "subaccount": "Subaccount",
            "coin": "Coin",
        },
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
