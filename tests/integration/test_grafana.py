"""The dashboards against what is not ours: Grafana's types, and a real Prometheus that scrapes the exporter.

Grafana itself cannot be had for a test; the types and the queries are what can go wrong between its versions and ours.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bybit_exporter.sandbox import (
    BANNED,
    MEMBER_FROZEN,
    UNLIMITED,
    Exchange,
    FundingHolding,
    Holding,
    Product,
    SandboxServer,
    Ticker,
    UnifiedHolding,
)
from bybit_exporter.sandbox.demo import configuration
from tests.dashboard_queries import DASHBOARDS, DashboardPrometheus, queries, query_of
from tests.exporter_process import ROOT, ExporterProcess
from tests.promql import metrics
from tests.support import eventually, require_real

DAY = 86400
TYPES = ROOT / "tests" / "grafana-types"
DEADLINE_SECONDS = 60.0
MISSING = "Accounts without balances"
ONLY_IN_TROUBLE = {
    *(("Banned or unknown", "Anno"), ("Failed polls by reason", "A")),
    *((MISSING, "A"), (MISSING, "B"), (MISSING, "C"), ("Accounts", "F")),
}

BEFORE = {"BTC": Holding("1.302604", "0.022527"), "USDT": Holding("1255440"), "SOL": Holding("7")}
WITHDRAWING = {"USDT": Holding("1219796.88", "0", "35643.12")}

TICKERS = {
    "BTCUSDT": Ticker("64000", "64000"),
    "SOLUSDT": Ticker("140", "140"),
    "ETHUSDT": Ticker("3000", "3000"),
    "USDTEUR": Ticker("0.92", "0.5"),  # so that nobody takes a USDT for a dollar
}

MISTAKES = {
    "no such kind of panel": ('"type": "stat"', '"type": "singlestat"'),
    "no such option": ('"reduceOptions"', '"reduceOption"'),
    "no such value of an option": ('"colorMode": "background"', '"colorMode": "green"'),
    "no such property of a field": ('"custom.cellOptions"', '"custom.cellOption"'),
    "no such key of a query": ('"instant": true', '"instantaneous": true'),
    "a value of the wrong type": ('"refresh": "30s"', '"refresh": false'),
}

A_DAY_AGO = {"BTC": 1.3, "USDT": 1255440, "ETH": 2.5}


class World:
    """An exchange with an account of each kind, the exporter that reads it, and the Prometheus that scrapes it."""

    def __init__(self, exchange: Exchange, exporter: ExporterProcess, prometheus: DashboardPrometheus) -> None:
        self.exchange = exchange
        self.exporter = exporter
        self.prometheus = prometheus
        self.value = prometheus.value

    def make_trouble(self) -> None:
        """An account withdraws and is banned; the key of another dies, so that its figures grow old."""
        self.exchange.accounts["spender"].update(WITHDRAWING)
        self.exchange.accounts["spender"].status = BANNED
        self.exchange.rotate_key(self.exchange.accounts["locked-out"])

    def unanswered(self) -> set[tuple[str, str]]:
        """The queries that give no series, each by its panel or annotation and its letter there.

        Queries of metrics that none of these accounts has are answered in test_dashboard_figures.py.
        """
        scraped = {*self.prometheus.values_of("__name__"), "ALERTS"}
        return {
            (title, query["refId"])
            for title, query in queries()
            if metrics(query["expr"]) <= scraped and not self.prometheus.series(query)
        }


def a_day_ago() -> str:
    """The balances of yesterday, in OpenMetrics."""
    end = time.time() - DAY
    lines = ["# TYPE bybit_asset_free gauge"]
    for coin, amount in A_DAY_AGO.items():
        labels = f'account="spender",account_type="SPOT",coin="{coin}",job="bybit",instance="yesterday"'
        lines += [f"bybit_asset_free{{{labels}}} {amount} {end + offset:.3f}" for offset in range(-900, 900, 60)]
    return "\n".join([*lines, "# EOF", ""])


def add_other_wallets(exchange: Exchange) -> None:
    """Accounts of the names by which the demo's configuration knows their types, with a debt and a withdrawal."""
    margin = {
        "BTC": UnifiedHolding("2", "0.5", usd_value="128000"),
        "USDT": UnifiedHolding("-1000", usd_value="-500", borrow_amount="1000", accrued_interest="0.05"),
    }
    exchange.add_account("margin", unified=margin)
    vault = {"USDT": FundingHolding("420", "417.5"), "GIFT": FundingHolding("2500")}
    vault_account = exchange.add_account("vault", unified={}, funding=vault)
    vault_account.withdraw("USDT", "2.5")
    vault_account.key.expires_at = time.time() + 10 * DAY
    group = exchange.add_account("group", unified={"USDT": UnifiedHolding("5")})
    group.add_member("desk", {"USDT": FundingHolding("8", "6")})
    group.add_member("lent", {"BTC": FundingHolding("1")}).status = MEMBER_FROZEN
    earn = exchange.add_account("earn", unified={"USDT": UnifiedHolding("7")})
    earn.products.update({"Earn": Product(categories={"Easy Earn": {"USDT": "3000"}})})
    exchange.tickers.update(TICKERS)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("dashboards")
    exchange = Exchange(limits=UNLIMITED)
    exchange.add_account("spender", BEFORE)
    exchange.add_account("locked-out", {"BTC": Holding("3")})
    exchange.add_account("holder", {"BTC": Holding("5")})
    add_other_wallets(exchange)
    with SandboxServer(exchange) as server:
        config = configuration(exchange, server.base_url)
        config = config.replace("poll_interval: 5s", "poll_interval: 1s\nstale_after: 3s")
        with ExporterProcess(config, directory) as exporter:
            prometheus = DashboardPrometheus(directory, exporter.base_url.removeprefix("http://"))
            prometheus.remember(a_day_ago())
            with prometheus:
                yield World(exchange, exporter, prometheus)


@pytest.fixture(scope="module")
def quiet(world: World) -> set[tuple[str, str]]:
    """The queries that give nothing while all is well, once everything has been scraped for a while."""
    eventually(lambda: not world.unanswered() - ONLY_IN_TROUBLE, DEADLINE_SECONDS)
    return world.unanswered()


@pytest.fixture(scope="module")
def trouble(world: World, quiet: set[tuple[str, str]]) -> World:
    world.make_trouble()
    return world


def compile_types(directory: Path, dashboards: Mapping[str, str]) -> str:
    """What the TypeScript compiler says when each dashboard is to be what Grafana 13 and 10 store."""
    node = shutil.which("node")
    require_real(node is not None, "nodejs npm (Debian)")
    require_real((TYPES / "node_modules").is_dir(), "npm ci --prefix tests/grafana-types")
    for name, text in dashboards.items():
        (directory / f"{name}.ts").write_text(
            f"import type {{ Newest, Oldest }} from '{TYPES}/dashboard.ts';\n"
            f"const dashboard = {text.strip()} as const satisfies Newest;\n"
            "dashboard satisfies Oldest;\n"
        )
    files = [f"{name}.ts" for name in dashboards]
    (directory / "tsconfig.json").write_text(json.dumps({"extends": f"{TYPES}/tsconfig.json", "files": files}))
    command = [str(node), str(TYPES / "node_modules/typescript/bin/tsc"), "--project", str(directory)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=directory).stdout


def test_grafana_s_own_types_fit(tmp_path: Path) -> None:
    assert not compile_types(tmp_path, {path.stem: path.read_text() for path in DASHBOARDS})


def test_grafana_s_own_types_would_find_a_mistake(tmp_path: Path) -> None:
    text = (ROOT / "grafana" / "dashboards" / "bybit-balances.json").read_text()
    wrong = {mistake.replace(" ", "-"): text.replace(*change) for mistake, change in MISTAKES.items()}
    errors = compile_types(tmp_path, wrong)
    assert all(text != other for other in wrong.values())
    assert [name for name in wrong if f"{name}.ts(" not in errors] == []


def test_while_all_is_well_only_the_queries_for_trouble_are_empty(quiet: set[tuple[str, str]]) -> None:
    assert quiet == ONLY_IN_TROUBLE


def test_every_query_answers_with_series(trouble: World) -> None:
    eventually(lambda: not trouble.unanswered(), DEADLINE_SECONDS)


def test_the_status_of_each_account_is_told_apart(trouble: World) -> None:
    expected = {"holder": 1, "spender": 3, "locked-out": 0, "margin": 1, "vault": 1, "group": 1, "earn": 1}
    eventually(
        lambda: {name: trouble.value("Status", account=name) for name in expected} == expected,
        DEADLINE_SECONDS,
    )


def test_an_account_whose_figures_have_expired_is_named_with_the_reason(trouble: World) -> None:
    eventually(
        lambda: trouble.value(MISSING, "C", account="locked-out", reason="auth"),
        DEADLINE_SECONDS,
    )
    [missing] = trouble.prometheus.series(query_of(MISSING, "A"))
    assert missing["metric"] == {"job": "bybit", "account": "locked-out", "account_type": "SPOT"}
    assert trouble.value("Balances now", account="locked-out") is None
    assert trouble.value("Balances now", account="holder", coin="BTC") == 5
    assert trouble.value("Accounts failing") == 1


def test_balances_are_exactly_what_the_exchange_states(trouble: World) -> None:
    stated = {"BTC": (1.302604, 0.022527, 0), "USDT": (1219796.88, 0, 35643.12), "SOL": (7, 0, 0)}

    def shown(coin: str) -> tuple[float | None, ...]:
        return tuple(trouble.value("Balances now", ref, account="spender", coin=coin) for ref in "ABC")

    eventually(lambda: {coin: shown(coin) for coin in stated} == stated, DEADLINE_SECONDS)


def test_changes_are_against_yesterday(trouble: World) -> None:
    """Yesterday's USDT is still there, though a part is being withdrawn; ETH is gone, SOL is new.

    Of the other accounts nothing is known of yesterday.
    """

    def shown(ref: str) -> dict[tuple[str, str], float]:
        found = trouble.prometheus.series(query_of("Changed in 24 h", ref))
        return {(one["metric"]["account"], one["metric"]["coin"]): float(one["value"][1]) for one in found}

    assert shown("A") == pytest.approx({("spender", "BTC"): 0.025131, ("spender", "ETH"): -2.5, ("spender", "SOL"): 7})
    assert shown("B") == pytest.approx({("spender", "BTC"): 0.025131 / 1.3, ("spender", "ETH"): -1})


def test_subaccounts_are_told_apart_and_counted(trouble: World) -> None:
    assert trouble.value("Subaccounts", account="group", subaccount="desk") == 1
    assert trouble.value("Subaccounts", account="group", subaccount="lent") == 4
    counted = {status: trouble.value("Subaccounts by status", status=status) for status in ("normal", "frozen")}
    assert counted == {"normal": 1, "frozen": 1}
    assert [trouble.value("Balances of subaccounts", ref, subaccount="desk") for ref in "ABC"] == [6, 2, 4]
    values = [trouble.value("Balances of subaccounts", "C", subaccount=name) for name in ("desk", "lent")]
    assert values == [4, 64000]


def test_keys_and_readings_beside_the_balances_are_told_by_account(trouble: World) -> None:
    assert [trouble.value("Keys", ref, account="holder") for ref in "ABDE"] == [1, 1, 0, None]
    assert trouble.value("Keys", "E", account="vault") == pytest.approx(10, abs=0.1)
    assert [trouble.value("Other readings", ref, account="vault") for ref in "BEG"] == [1, None, None]
    assert [trouble.value("Other readings", ref, account="group") for ref in "BEG"] == [None, 1, 1]
    assert trouble.value("Prices") == 1


def test_a_change_of_status_is_marked_once(trouble: World) -> None:
    eventually(lambda: trouble.prometheus.series(query_of("Banned or unknown", "Anno")), DEADLINE_SECONDS)
    [marked] = trouble.prometheus.series(query_of("Banned or unknown", "Anno"))
    assert marked["metric"] == {"job": "bybit", "account": "spender", "account_type": "SPOT", "status": "banned"}
    assert len(marked["values"]) == 1


def test_of_one_account_nothing_but_that_account_is_shown(trouble: World) -> None:
    for title, query in queries():
        shown = {series["metric"].get("account") for series in trouble.prometheus.series(query, account="holder")}
        assert shown <= {"holder", None}, title


def test_of_one_type_of_wallet_nothing_but_that_is_shown(trouble: World) -> None:
    for title, query in queries():
        if "$wallet" in query["expr"]:
            found = trouble.prometheus.series(query, wallet="FUND")
            assert {series["metric"].get("account_type") for series in found} <= {"FUND", None}, title
            assert {series["metric"].get("account") for series in found} <= {"vault", None}, title


def test_of_one_coin_nothing_but_that_coin_is_shown(trouble: World) -> None:
    for title, query in queries():
        if "$coin" in query["expr"]:
            shown = {series["metric"].get("coin") for series in trouble.prometheus.series(query, coin="BTC")}
            assert shown <= {"BTC", None}, title


def test_the_variables_offer_every_account_and_coin(trouble: World) -> None:
    variables = json.loads((ROOT / "grafana" / "dashboards" / "bybit-balances.json").read_text())["templating"]["list"]
    asked = {
        variable["query"].removesuffix(")").rpartition(", ")[2]: variable["query"].removeprefix("label_values(")
        for variable in variables
        if variable["type"] == "query"
    }
    for label, expected in {
        "account": ["earn", "group", "holder", "locked-out", "margin", "spender", "vault"],
        "job": ["bybit"],
        "cluster": [],
        "account_type": ["FUND", "SPOT", "UNIFIED"],
        "coin": ["BTC", "ETH", "GIFT", "SOL", "USDT"],
    }.items():
        selector = re.sub(r"\$\w+", ".*", asked[label].rpartition(", ")[0])
        values = trouble.prometheus.values_of(label, selector)
        assert [value for value in values if value != "auto"] == expected  # as long as the type is not found
