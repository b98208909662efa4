"""The figures of the dashboards over made-up accounts of every kind: with one exporter, a pair, and two clusters."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.dashboard_data import ACCOUNTS, PRICES, PRODUCTS, SUBACCOUNTS, at, openmetrics, usd_values
from tests.dashboard_queries import DashboardPrometheus, Series, queries, query_of

SECONDS = 1800.0
STEP_SECONDS = 15
DAY = 86400

SINGLE, PAIR, TWINS = "single", "pair", "twins"
TARGETS = [
    {"job": "bybit", "namespace": SINGLE, "instance": "a:9836"},
    {"job": "bybit", "namespace": PAIR, "instance": "a:9836", "pod": "a", "node": "one"},
    {"job": "bybit", "namespace": PAIR, "instance": "b:9836", "pod": "b", "node": "two"},
    {"job": "bybit", "namespace": TWINS, "instance": "a:9836", "cluster": "east"},
    {"job": "bybit", "namespace": TWINS, "instance": "b:9836", "cluster": "west"},
]
OF_ALL_EXPORTERS = {"Requests per second"}
"""Two exporters send two requests: these panels are to have the sum."""

# Annotations show only changes of status; alerts are of a Prometheus with rules; a day ago is before the data begins.
WITHOUT_DATA = {"Banned or unknown", "Normal again", "Alerts", "Changed in 24 h"}


class Filled:
    """A Prometheus with the past of all targets, asked at the end of it."""

    def __init__(self, prometheus: DashboardPrometheus, end: float) -> None:
        self.prometheus = prometheus
        self.end = end

    def series(self, title: str, ref: str, namespace: str) -> dict[frozenset[tuple[str, str]], list[float]]:
        """The values of each series, by its labels without the namespace."""
        return self.of(query_of(title, ref), namespace)

    def of(self, query: Series, namespace: str) -> dict[frozenset[tuple[str, str]], list[float]]:
        found = self.prometheus.series(query, self.end, namespace=namespace)
        return {
            frozenset((label, text) for label, text in each["metric"].items() if label != "namespace"): [
                float(value) for _, value in each.get("values") or [each["value"]]
            ]
            for each in found
        }

    def value(self, title: str, ref: str = "A", namespace: str = SINGLE, **labels: str) -> float | None:
        """The one value of an instant query."""
        found = [
            values[-1]
            for of, values in self.series(title, ref, namespace).items()
            if labels.items() <= dict(of).items()
        ]
        assert len(found) <= 1, f"{title} {ref}: {found}"
        return found[0] if found else None


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    end = time.time() - 60
    prometheus = DashboardPrometheus(tmp_path_factory.mktemp("figures"), step_seconds=STEP_SECONDS)
    prometheus.remember(openmetrics(TARGETS, end - SECONDS, end, STEP_SECONDS))
    with prometheus:
        yield Filled(prometheus, end)


def test_every_query_of_every_panel_has_series(filled: Filled) -> None:
    empty = {title for title, query in queries() if not filled.of(query, SINGLE)}
    assert empty == WITHOUT_DATA


def test_pair_of_exporters_shows_the_figures_of_one(filled: Filled) -> None:
    for title, query in queries():
        if title in OF_ALL_EXPORTERS:
            continue
        single, pair = filled.of(query, SINGLE), filled.of(query, PAIR)
        if any("instance" in dict(labels) for labels in single):
            assert len(pair) == 2 * len(single), title
        else:
            assert pair.keys() == single.keys(), title
            for labels, values in single.items():
                assert pair[labels] == pytest.approx(values, rel=1e-6), f"{title}: {dict(labels)}"


def test_accounts_of_the_same_name_in_two_clusters_stay_two(filled: Filled) -> None:
    for title, query in queries():
        single, twins = filled.of(query, SINGLE), filled.of(query, TWINS)
        if any("account" in dict(labels) for labels in single):
            assert len(twins) == 2 * len(single), title
            assert {dict(labels)["cluster"] for labels in twins} == {"east", "west"}, title


@pytest.mark.parametrize(
    "title",
    [
        "Value of the wallets",
        "Wallets and products",
        "Available as margin",
        "Value of products",
        "Value of subaccounts",
    ],
)
def test_total_of_two_clusters_is_the_sum(filled: Filled, title: str) -> None:
    single = filled.value(title)
    assert single
    assert filled.value(title, namespace=TWINS) == pytest.approx(2 * single)
    assert filled.value(title, namespace=PAIR) == pytest.approx(single)


def test_value_of_the_wallets_is_every_coin_with_a_price_and_debts_subtracted(filled: Filled) -> None:
    values = {(account.name, coin): at(value, SECONDS) for account in ACCOUNTS for coin, value in usd_values(account)}
    assert filled.value("Value of the wallets") == pytest.approx(sum(values.values()))
    assert filled.value("Value by account", account="spot-short") == pytest.approx(5200 - 0.75 * 3000)
    products = sum(PRICES[coin] * amount for coins in PRODUCTS.values() for coin, amount in coins.items())
    assert filled.value("Wallets and products") == pytest.approx(sum(values.values()) + products)
    assert filled.value("Value by coin", coin="USDT") == pytest.approx(
        sum(value for (_, coin), value in values.items() if coin == "USDT")
    )
    assert filled.value("Coins without a price", coin="GIFT") == 2500
    assert len(filled.series("Coins without a price", "A", SINGLE)) == 1


def test_isolated_margin_has_a_row_and_no_ratio(filled: Filled) -> None:
    assert filled.value("Margin by account", "A", account="isolated") == 1
    assert [filled.value("Margin by account", ref, account="isolated") for ref in "BCDEFGH"] == [None] * 7
    assert filled.value("Maintenance margin ratio", account="isolated") is None
    assert filled.value("Maintenance margin ratio", account="margin") is not None
    assert filled.value("Maintenance margin ratio", account="treasury") == 0


def test_account_that_is_not_unified_has_no_margin(filled: Filled) -> None:
    assert filled.value("Margin by account", "A", account="main") is None


def test_debts_are_shown_in_units_and_as_negative_dollars(filled: Filled) -> None:
    short = [filled.value("Debts and margin by coin", ref, account="spot-short", coin="ETH") for ref in "BCDG"]
    assert short == [0.75, pytest.approx(0.00012), None, -0.75 * 3000]
    assert filled.value("Debts and margin by coin", "G", account="isolated") is None
    assert filled.value("Balances now", "A", account="spot-short", coin="ETH") == -0.75


def test_products_are_shown_by_kind_and_a_loan_is_negative(filled: Filled) -> None:
    assert filled.value("Products", product="Earn") == 25000 + 0.4 * 64000
    assert filled.value("Products", product="CryptoLoans") == -12000
    assert filled.value("Products", "B", product="Earn") == pytest.approx(240, abs=1)
    assert filled.value("Products by coin", category="FlexibleSaving", coin="BTC") == 0.4


def test_subaccounts_are_worth_what_all_their_wallets_are(filled: Filled) -> None:
    by_wallet = {
        wallet: filled.value("Wallets of subaccounts", subaccount="desk", wallet=wallet)
        for wallet in ("UNIFIED", "FUND")
    }
    assert by_wallet["FUND"] == 64004
    assert filled.value("Subaccounts", "B", subaccount="desk") == pytest.approx(sum(filter(None, by_wallet.values())))
    assert len(filled.series("Subaccounts", "A", SINGLE)) == len(SUBACCOUNTS)


def test_funds_held_back_and_a_key_that_may_withdraw_are_shown(filled: Filled) -> None:
    assert filled.value("Funds held back", account="vault") == 250
    assert filled.value("Keys", "C", account="spot-short") == 1
    assert filled.value("Keys", "C", account="main") == 0


def test_latency_is_the_quantile_of_the_requests(filled: Filled) -> None:
    panels = ("Request latency, median", "Request latency, p95", "Request latency, p99")
    [median, p95, p99] = [
        values[-1]
        for panel in panels
        for labels, values in filled.series(panel, "A", SINGLE).items()
        if dict(labels)["endpoint"] == "/v5/account/wallet-balance"
    ]
    assert 0.05 < median < 0.1
    assert 0.25 < p95 < 0.5
    assert 0.5 < p99 <= 1
