"""The exposition of the store: which series it has, when they expire, and that a scrape sees whole polls."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from bybit_exporter.metrics import rendered as rendered_module
from bybit_exporter.metrics.account_families import FIGURE_FAMILIES, render_account
from bybit_exporter.metrics.exposition import Family
from bybit_exporter.metrics.state import AccountState, ExporterState
from bybit_exporter.metrics.store import Store
from bybit_exporter.model import (
    Account,
    AccountType,
    ApiKey,
    Balance,
    Failure,
    FailureReason,
    JobResult,
    MarginSummary,
    MarketPrices,
    RateLimit,
    Resource,
    Subaccount,
    SubaccountStatus,
)
from tests.builders import make_account, make_balance, make_failure, make_result, make_snapshot
from tests.exporter_process import Samples, parse, value_of
from tests.families import ALL_FAMILIES
from tests.support import FakeClock


def account(name: str = "main", stale_after: float = 30.0) -> Account:
    return make_account(name, stale_after_seconds=stale_after)


def success(account: Account, at: float, *balances: Balance) -> JobResult[Any]:
    snapshot = make_snapshot(*(balances or (make_balance("ETH", "11.53485"),)))
    return make_result(account, snapshot, at, rate_limits={"/v5": RateLimit(60, 59)})


def failure(
    account: Account, at: float, reason: FailureReason = FailureReason.NETWORK, **changes: Any
) -> JobResult[Any]:
    return make_result(account, make_failure(reason), at, **changes)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(0.0)


@pytest.fixture
def store(clock: FakeClock) -> Store:
    return Store(ExporterState(True, 1_700_000_000.0), clock)


def samples(store: Store) -> Samples:
    return parse(store.exposition().decode())


def series(store: Store, name: str, **labels: str) -> float | None:
    """The value of the one series with at least these labels."""
    return value_of(samples(store), name, **labels)


def test_exposition_before_the_first_poll_has_no_figures(store: Store) -> None:
    store.replace_accounts([account()])
    names = {name for name, labels in samples(store) if dict(labels).get("account") == "main"}
    assert names == {"bybit_poll_interval_seconds", "bybit_polls_total", "bybit_poll_failures_total"}
    assert {v for (name, _), v in samples(store).items() if name == "bybit_poll_failures_total"} == {0.0}


def test_success_is_shown(store: Store) -> None:
    main = account()
    store.replace_accounts([main])
    store.apply(success(main, 0.0), next_run_timestamp=1_700_000_010.0)
    assert series(store, "bybit_asset_free", account="main", account_type="SPOT", coin="ETH") == 11.53485
    assert series(store, "bybit_up", account="main") == 1
    assert series(store, "bybit_last_success_timestamp_seconds") == 1_700_000_000.0
    assert series(store, "bybit_poll_duration_seconds") == 0.25
    assert series(store, "bybit_next_poll_timestamp_seconds") == 1_700_000_010.0
    assert series(store, "bybit_api_rate_limit_requests", account="main", endpoint="/v5") == 60
    assert series(store, "bybit_api_rate_limit_remaining_requests", account="main", endpoint="/v5") == 59


def test_series_of_a_coin_end_when_it_is_not_listed(store: Store) -> None:
    main = account()
    store.replace_accounts([main])
    store.apply(success(main, 0.0, make_balance("BTC", "1", "0", "0"), make_balance("ETH", "2", "0", "0")), 10.0)
    store.apply(success(main, 1.0, make_balance("BTC", "1", "0", "0")), 10.0)
    assert series(store, "bybit_asset_free", coin="BTC") == 1
    assert series(store, "bybit_asset_free", coin="ETH") is None


def test_stale_figures_are_removed_and_counters_stay(store: Store, clock: FakeClock) -> None:
    main = account(stale_after=30.0)
    store.replace_accounts([main])
    store.apply(success(main, 0.0), 10.0)
    store.apply(failure(main, 10.0), 20.0)
    clock.now = 29.999
    assert series(store, "bybit_asset_free") == 11.53485
    assert series(store, "bybit_account_status", status="normal") == 1
    clock.now = 30.0
    left = {name for name, labels in samples(store) if dict(labels).get("account") == "main"}
    assert not {name for name in left if name.startswith(("bybit_asset", "bybit_account_status"))}
    assert series(store, "bybit_up") == 0
    assert series(store, "bybit_polls_total") == 2
    assert series(store, "bybit_poll_failures_total", reason="network") == 1
    assert store.accounts()[0].balances is None
    store.apply(success(main, 40.0), 50.0)
    clock.now = 41.0
    assert series(store, "bybit_asset_free") == 11.53485


def test_figures_that_are_the_same_are_rendered_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    main, rendered = account(), []

    def render(families: Sequence[Family[Any]], state: AccountState) -> tuple[bytes, ...]:
        rendered.append(families is FIGURE_FAMILIES)
        return render_account(families, state)

    monkeypatch.setattr(rendered_module, "render_account", render)
    store.replace_accounts([main])
    before = rendered.count(True)
    for at in range(3):
        store.apply(success(main, float(at)), 10.0)
    assert rendered.count(True) == before + 1
    store.apply(success(main, 3.0, make_balance("ETH", "11.53486")), 10.0)
    assert series(store, "bybit_asset_free") == 11.53486
    assert series(store, "bybit_polls_total") == 4


def unified(account: Account, at: float, ratio: str) -> JobResult[Any]:
    margin = MarginSummary(maintenance_margin_ratio=Decimal(ratio))
    snapshot = make_snapshot(make_balance("USDT", "1"), margin=margin)
    return make_result(account, snapshot, at, account_type=AccountType.UNIFIED)


def test_margin_ratio_follows_every_poll_also_while_balances_are_the_same(store: Store) -> None:
    main = make_account(account_type=AccountType.UNIFIED)
    store.replace_accounts([main])
    for at, ratio in enumerate(("0.5", "0.8")):
        store.apply(unified(main, float(at), ratio), 10.0)
        assert series(store, "bybit_account_maintenance_margin_ratio", account="main") == float(ratio)
    assert series(store, "bybit_account_equity_usd") is None, "not stated"


def test_margin_ratio_expires_with_the_balances(store: Store, clock: FakeClock) -> None:
    main = make_account(account_type=AccountType.UNIFIED)
    store.replace_accounts([main])
    store.apply(unified(main, 0.0, "0.5"), 10.0)
    store.apply(failure(main, 20.0), 30.0)
    clock.now = 29.9
    assert series(store, "bybit_account_maintenance_margin_ratio") == 0.5
    clock.now = 30.0
    assert series(store, "bybit_account_maintenance_margin_ratio") is None


def test_margin_ratio_of_one_wallet_is_not_shown_for_another(store: Store) -> None:
    main = make_account(account_type=AccountType.AUTO)
    store.replace_accounts([main])
    store.apply(unified(main, 0.0, "0.5"), 10.0)
    assert series(store, "bybit_account_maintenance_margin_ratio", account_type="UNIFIED") == 0.5
    store.apply(failure(main, 1.0, account_type=AccountType.SPOT), 10.0)
    assert series(store, "bybit_account_maintenance_margin_ratio") is None


def test_account_with_expired_figures_is_not_up(store: Store, clock: FakeClock) -> None:
    """No poll has failed, and none has ended: the process was stopped, or all requests are paused."""
    main = account(stale_after=30.0)
    store.replace_accounts([main])
    store.apply(success(main, 0.0), 10.0)
    clock.now = 1000.0
    assert series(store, "bybit_up") == 0
    assert series(store, "bybit_asset_free") is None


def test_banned_status_is_shown_after_the_balances_expire(store: Store, clock: FakeClock) -> None:
    main = account(stale_after=30.0)
    store.replace_accounts([main])
    store.apply(success(main, 0.0), 10.0)
    for clock.now in (10.0, 20.0, 30.0, 40.0):
        store.apply(failure(main, clock.now, FailureReason.BANNED), 0.0)
    clock.now = 69.0
    assert series(store, "bybit_account_status", status="banned") == 1
    assert series(store, "bybit_account_status", status="normal") == 0
    assert series(store, "bybit_asset_free") is None
    clock.now = 70.0
    assert series(store, "bybit_account_status", status="banned") is None


def test_stale_account_does_not_affect_others(store: Store, clock: FakeClock) -> None:
    short, long = account("short", 10.0), account("long", 100.0)
    store.replace_accounts([short, long])
    store.apply(success(short, 0.0), 0.0)
    store.apply(success(long, 0.0), 0.0)
    clock.now = 50.0
    assert series(store, "bybit_asset_free", account="short") is None
    assert series(store, "bybit_asset_free", account="long") == 11.53485


def test_removed_account_loses_all_series_and_kept_one_none(store: Store) -> None:
    removed, kept = account("removed"), account("kept")
    store.replace_accounts([removed, kept])
    store.apply(success(removed, 0.0), 0.0)
    store.apply(success(kept, 0.0), 0.0)
    store.replace_accounts([account("kept"), account("new")])
    assert {dict(labels).get("account") for _, labels in samples(store)} == {None, "kept", "new"}
    assert series(store, "bybit_asset_free", account="kept") == 11.53485
    assert series(store, "bybit_polls_total", account="new") == 0


@pytest.mark.parametrize("keep", [True, False])
def test_account_with_a_changed_configuration_or_exchange_has_no_figures(store: Store, keep: bool) -> None:
    main = account()
    store.replace_accounts([main])
    store.apply(success(main, 0.0), 0.0)
    store.replace_accounts([dataclasses.replace(main, poll_interval_seconds=5.0) if keep else main], keep=keep)
    assert series(store, "bybit_asset_free") is None
    assert series(store, "bybit_polls_total") == 0


def test_result_of_a_removed_account_is_dropped(store: Store) -> None:
    old = account()
    new = dataclasses.replace(old, coins=("BTC",))
    store.replace_accounts([old])
    store.replace_accounts([new])
    store.apply(success(old, 0.0), 0.0)
    store.set_next_poll(old, 5.0)
    store.apply(success(account("stranger"), 0.0), 0.0)
    assert series(store, "bybit_polls_total") == 0
    assert series(store, "bybit_next_poll_timestamp_seconds") is None


@pytest.mark.parametrize(("again", "free"), [(AccountType.SPOT, 11.53485), (AccountType.UNIFIED, None)])
def test_figures_of_the_other_wallet_are_removed_when_the_type_changes(
    store: Store, again: AccountType, free: float | None
) -> None:
    main = make_account(account_type=AccountType.AUTO)
    store.replace_accounts([main])
    store.apply(replace(success(main, 0.0), account_type=AccountType.SPOT), 0.0)
    store.apply(failure(main, 1.0, FailureReason.ACCOUNT_MODE), 0.0)
    assert series(store, "bybit_asset_free", account_type="SPOT") == 11.53485, "a failure changes no balance"
    store.apply(failure(main, 2.0), 0.0)
    assert series(store, "bybit_asset_free", account_type="SPOT") == 11.53485, "also if the type cannot be found"
    store.apply(failure(main, 3.0, account_type=again), 0.0)
    assert series(store, "bybit_asset_free") == free
    assert series(store, "bybit_account_status", status="normal") == (free and 1)
    assert series(store, "bybit_api_rate_limit_remaining_requests") == (free and 59), "nor the limit of its endpoint"
    assert series(store, "bybit_up", account_type=again) == 0


def prices(at: float, **usd: str) -> JobResult[Any]:
    value = MarketPrices({coin: Decimal(price) for coin, price in usd.items()}, frozenset(usd))
    return make_result(None, value, at, Resource.PRICES)


@pytest.mark.parametrize("prices_first", [True, False])
def test_usd_value_of_spot_and_fund_is_total_times_price(store: Store, prices_first: bool) -> None:
    main, fund = account(), make_account("fund", AccountType.FUND)
    store.replace_accounts([main, fund])
    results = [
        success(main, 0.0, make_balance("ETH", "1", "0.5", "0.25"), make_balance("GIFT", "7")),
        success(fund, 0.0, make_balance("ETH", "2", "0", None)),
        make_result(fund, {"ETH": Decimal(3)}, 0.0, Resource.WITHDRAWALS),
    ]
    for result in [prices(0.0, ETH="2000"), *results] if prices_first else [*results, prices(0.0, ETH="2000")]:
        store.apply(result, 0.0)
    assert series(store, "bybit_asset_usd_value", account="main") == 3500, "and none of a coin without a price"
    assert series(store, "bybit_asset_usd_value", account="fund") == 10_000
    store.apply(prices(1.0, ETH="3000"), 0.0)
    assert series(store, "bybit_asset_usd_value", account="main") == 5250


@pytest.mark.parametrize(
    ("free", "frozen", "price"), [("1e308", "1e308", "1"), ("-1e308", "-1e308", "1"), ("1e200", "0", "1e200")]
)
def test_usd_value_that_is_larger_than_a_float_has_no_series(store: Store, free: str, frozen: str, price: str) -> None:
    main = account()
    store.replace_accounts([main])
    store.apply(success(main, 0.0, make_balance("BIG", free, frozen), make_balance("ETH", "1")), 0.0)
    store.apply(prices(0.0, BIG=price, ETH="2000"), 0.0)
    assert series(store, "bybit_asset_usd_value", coin="BIG") is None
    assert series(store, "bybit_asset_usd_value", coin="ETH") == 2000


def test_usd_value_of_unified_is_what_the_exchange_states(store: Store) -> None:
    main = make_account(account_type=AccountType.UNIFIED)
    store.replace_accounts([main])
    store.apply(prices(0.0, ETH="2000"), 0.0)
    stated = replace(make_balance("ETH", "-1", "0", None), usd_value=Decimal(-2345))
    store.apply(success(main, 0.0, stated), 0.0)
    assert series(store, "bybit_asset_usd_value") == -2345


def test_usd_value_is_removed_when_prices_expire(store: Store, clock: FakeClock) -> None:
    main = account(stale_after=1000.0)
    store.replace_accounts([main])
    store.apply(success(main, 0.0), 0.0)
    store.apply(prices(0.0, ETH="2000"), 0.0)
    clock.now = 179.0
    assert series(store, "bybit_asset_usd_value") == 23069.7
    clock.now = 180.0
    assert series(store, "bybit_asset_usd_value") is None
    assert series(store, "bybit_prices_up") == 0
    assert series(store, "bybit_asset_free") == 11.53485


def test_prices_are_published_with_the_values_of_all_accounts_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scrape during the valuation sees one price, and a poll that ends then neither waits nor is lost."""
    accounts = [account(name) for name in ("a", "b", "c")]
    store.replace_accounts(accounts)
    for each in accounts:
        store.apply(success(each, 0.0, make_balance("ETH", "1")), 0.0)
    store.apply(prices(0.0, ETH="2000"), 0.0)
    seen: list[set[float]] = []
    poll = threading.Thread(target=lambda: store.apply(success(accounts[0], 1.0, make_balance("ETH", "1")), 0.0))

    def render(families: Sequence[Family[Any]], state: AccountState) -> tuple[bytes, ...]:
        if threading.current_thread() is not poll:
            shown = samples(store).items()
            seen.append({v for (name, _), v in shown if name in ("bybit_asset_usd_value", "bybit_coin_price_usd")})
            if state.account.name == "b" and poll.ident is None:
                poll.start()
                poll.join(5.0)
                assert not poll.is_alive(), "the poll waits for the valuation"
        return render_account(families, state)

    monkeypatch.setattr(rendered_module, "render_account", render)
    store.apply(prices(1.0, ETH="3000"), 0.0)
    assert seen
    assert all(each == {2000.0} for each in seen)
    assert {v for (name, _), v in samples(store).items() if name == "bybit_asset_usd_value"} == {3000.0}
    assert series(store, "bybit_polls_total", account="a") == 2


@pytest.mark.parametrize("keep", [True, False])
def test_result_of_the_exchange_before_a_reload_is_dropped(store: Store, keep: bool) -> None:
    main, exchange = account(), store.exchange
    store.replace_accounts([main], keep=keep)
    assert store.apply(prices(0.0, ETH="2000"), 0.0, exchange) is keep
    assert store.apply(success(main, 0.0), 0.0, exchange) is keep
    assert series(store, "bybit_coin_price_usd") == (2000 if keep else None)
    assert series(store, "bybit_polls_total") == keep


def test_usd_value_ends_when_prices_are_switched_off(store: Store) -> None:
    store.replace_accounts([account()])
    main = store.accounts()[0].account
    store.apply(prices(0.0, ETH="2000"), 0.0)
    store.apply(success(main, 0.0), 0.0)
    store.replace_accounts([account()], prices=False)
    assert series(store, "bybit_asset_usd_value") is None
    assert series(store, "bybit_coin_price_usd") is None
    assert series(store, "bybit_asset_free") == 11.53485


def test_resource_that_is_not_available_has_no_series(store: Store) -> None:
    main = account()
    store.replace_accounts([main])
    store.apply(make_result(main, make_failure(is_unavailable=True), 0.0, Resource.PRODUCTS), 0.0)
    assert series(store, "bybit_products_up") is None
    store.apply(make_result(main, make_failure(), 0.0, Resource.PRODUCTS), 0.0)
    assert series(store, "bybit_products_up") is None, "a network failure says nothing about it"
    store.apply(make_result(main, make_failure(FailureReason.MALFORMED), 0.0, Resource.PRODUCTS), 0.0)
    assert series(store, "bybit_products_up") == 0


@pytest.mark.parametrize(("can_withdraw", "shown"), [(True, 1), (False, 0), (None, None)])
def test_key_that_may_or_may_not_withdraw_has_no_series(
    store: Store, can_withdraw: bool | None, shown: float | None
) -> None:
    main = account()
    store.replace_accounts([main])
    key = ApiKey(False, False, None, can_withdraw)
    store.apply(make_result(main, key, 0.0, Resource.API_KEY), 0.0)
    assert series(store, "bybit_api_key_withdraw") == shown
    assert series(store, "bybit_api_key_read_only") == 0


def test_scrape_during_a_reload_has_what_is_known(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    main = account()
    store.replace_accounts([main])
    store.apply(make_result(main, ApiKey(True, True, None, False), 0.0, Resource.API_KEY), 0.0)
    seen: list[float | None] = []
    monkeypatch.setattr(store.history, "retain", lambda _: seen.append(series(store, "bybit_api_key_read_only")))
    store.replace_accounts([main])
    assert seen == [1.0]


def test_balances_of_subaccounts_that_are_no_longer_listed_are_forgotten(store: Store) -> None:
    main = account()
    store.replace_accounts([main])
    for name in ("stays", "goes"):
        store.apply(
            make_result(main, [make_balance("ETH", "1")], 0.0, Resource.SUBACCOUNT_BALANCES, subaccount=name), 0.0
        )
    listed = [Subaccount("1", "stays", SubaccountStatus.NORMAL, "1")]
    store.apply(make_result(main, listed, 0.0, Resource.SUBACCOUNTS), 0.0)
    assert series(store, "bybit_subaccount_asset_free", subaccount="stays") == 1
    assert series(store, "bybit_subaccount_asset_free", subaccount="goes") is None


def test_set_next_poll_changes_the_next_poll_timestamp(store: Store) -> None:
    main = account()
    store.replace_accounts([main])
    store.set_next_poll(main, 1_700_000_600.0)
    assert series(store, "bybit_next_poll_timestamp_seconds") == 1_700_000_600.0


def test_store_is_ready_when_every_account_has_been_polled(store: Store) -> None:
    one, other = account("one"), account("other")
    store.replace_accounts([one, other])
    assert not store.ready
    store.apply(success(one, 0.0), 0.0)
    assert not store.ready
    store.apply(failure(other, 0.0), 0.0)
    assert store.ready


def test_exporter_state_is_shown(store: Store) -> None:
    assert series(store, "bybit_exporter_config_last_reload_successful") == 1
    assert series(store, "bybit_api_clock_offset_seconds") is None
    store.update_exporter(config_reload_successful=False, clock_offset_seconds=-0.5)
    assert series(store, "bybit_exporter_config_last_reload_successful") == 0
    assert series(store, "bybit_exporter_config_last_reload_success_timestamp_seconds") == 1_700_000_000.0
    assert series(store, "bybit_api_clock_offset_seconds") == -0.5


@pytest.mark.parametrize("openmetrics", [False, True])
def test_families_are_contiguous_and_have_no_series_twice(store: Store, openmetrics: bool) -> None:
    accounts = [account(name) for name in ("b", "a", "c")]
    store.replace_accounts(accounts)
    for one in accounts[:2]:
        store.apply(success(one, 0.0, make_balance("BTC", "1", "2", "3"), make_balance("ETH", "4", "5", "6")), 10.0)
    store.update_exporter(clock_offset_seconds=0.0)
    text = store.exposition(openmetrics=openmetrics).decode()
    headers = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(headers) == len(set(headers)) > len(ALL_FAMILIES)
    current, seen = "", set()
    for line in text.splitlines():
        if line.startswith("# TYPE"):
            current = line.split()[2]
        elif not line.startswith("#"):
            name, _, _ = line.partition(" ")
            assert name.partition("{")[0].removesuffix("_total") == current.removesuffix("_total")
            series_text = line.rpartition(" ")[0]
            assert series_text not in seen
            seen.add(series_text)


def test_openmetrics_is_accepted_by_the_strict_parser(store: Store) -> None:
    nasty = account('quote " backslash \\ <script>')
    store.replace_accounts([nasty])
    store.apply(success(nasty, 0.0, make_balance("new\nline", "1e-8", "1e300")), 10.0)
    text = store.exposition(openmetrics=True).decode()
    parsed = parse_openmetrics(text)  # type: ignore[no-untyped-call]
    families = {family.name: family for family in parsed}
    assert text.endswith("# EOF\n")
    assert text.count("# EOF") == 1
    assert families["bybit_polls"].type == "counter"
    (free,) = families["bybit_asset_free"].samples
    assert (free.labels["account"], free.labels["coin"], free.value) == (nasty.name, "new\nline", 1e-8)


def test_samples_of_both_formats_are_equal(store: Store) -> None:
    main = account()
    store.replace_accounts([main])
    store.apply(success(main, 0.0), 10.0)

    def lines(openmetrics: bool) -> list[str]:
        text = store.exposition(openmetrics=openmetrics).decode()
        return [line for line in text.splitlines() if line.startswith("bybit_")]

    assert lines(openmetrics=True) == lines(openmetrics=False)


def test_history_has_no_withdrawals_that_have_expired(store: Store, clock: FakeClock) -> None:
    fund = make_account("fund", AccountType.FUND)
    store.replace_accounts([fund])
    store.apply(make_result(fund, {"ETH": Decimal(5)}, 0.0, Resource.WITHDRAWALS), 0.0)
    for clock.now in (0.0, 60.0):
        store.apply(success(fund, clock.now, make_balance("ETH", "1", "0", None)), 0.0)
    assert list(store.history.last_hour(fund, 60.0)["ETH"])[-2:] == [6.0, 1.0]


@pytest.mark.parametrize("outcome", [{"ETH": Decimal(3)}, make_failure(is_unavailable=True), make_failure(), None])
def test_value_of_a_funding_account_waits_for_its_withdrawals(store: Store, outcome: Any) -> None:
    """A value without what is being withdrawn would be too low, and look like a loss."""
    fund = make_account("fund", AccountType.FUND)
    store.replace_accounts([fund])
    store.apply(prices(0.0, ETH="2000"), 0.0)
    store.apply(success(fund, 0.0, make_balance("ETH", "2", "0", None)), 0.0)
    if outcome is not None:
        store.apply(make_result(fund, outcome, 0.0, Resource.WITHDRAWALS), 0.0)
    is_known = isinstance(outcome, dict)
    is_unavailable = isinstance(outcome, Failure) and outcome.is_unavailable
    expected = 10_000.0 if is_known else 4_000.0 if is_unavailable else None
    assert series(store, "bybit_asset_usd_value", account="fund") == expected
    assert series(store, "bybit_asset_free", account="fund") == 2
    if is_unavailable:
        store.apply(make_result(fund, make_failure(), 1.0, Resource.WITHDRAWALS), 0.0)
        assert series(store, "bybit_asset_usd_value", account="fund") == expected
        assert series(store, "bybit_withdrawals_up", account="fund") is None


def test_value_of_a_funding_account_ends_when_its_withdrawals_expire(store: Store, clock: FakeClock) -> None:
    fund = make_account("fund", AccountType.FUND, stale_after_seconds=1000.0)
    store.replace_accounts([fund])
    store.apply(prices(0.0, ETH="2000"), 0.0)
    store.apply(success(fund, 0.0, make_balance("ETH", "2", "0", None)), 0.0)
    store.apply(make_result(fund, {"ETH": Decimal(3)}, 0.0, Resource.WITHDRAWALS, stale_after_seconds=90.0), 0.0)
    clock.now = 90.0
    assert series(store, "bybit_asset_usd_value", account="fund") is None
    assert series(store, "bybit_withdrawals_up", account="fund") == 0


def test_balance_of_a_subaccount_that_is_gone_ends(store: Store) -> None:
    main = account()
    store.replace_accounts([main])
    for outcome in ([make_balance("ETH", "1")], make_failure(is_unavailable=True)):
        store.apply(make_result(main, outcome, 0.0, Resource.SUBACCOUNT_BALANCES, subaccount="gone"), 0.0)
    assert series(store, "bybit_subaccount_balances_up", subaccount="gone") is None
