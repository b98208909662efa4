"""What may be scraped, when, and that a scrape sees whole polls."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from bybit_exporter.metrics import store as store_module
from bybit_exporter.metrics.exposition import Family
from bybit_exporter.metrics.families import ACCOUNT_FAMILIES, EXPORTER_FAMILIES, FIGURE_FAMILIES, render_account
from bybit_exporter.metrics.state import AccountState, ExporterState, PollResult
from bybit_exporter.metrics.store import Store
from bybit_exporter.model import (
    Account,
    AccountSnapshot,
    AccountStatus,
    AccountType,
    Balance,
    FailureReason,
    MarginSummary,
    RateLimit,
    Secret,
)
from tests.exporter_process import Samples, parse
from tests.support import FakeClock


def account(name: str = "main", stale_after: float = 30.0) -> Account:
    return Account(name, AccountType.SPOT, None, Secret("k"), Secret("s"), 10.0, stale_after)


def holding(coin: str, free: str, frozen: str = "0", withdrawing: str = "0") -> Balance:
    return Balance(coin, Decimal(free), Decimal(frozen), Decimal(withdrawing))


def success(at: float, *balances: Balance) -> PollResult:
    shown = balances or (holding("ETH", "11.53485"),)
    snapshot = AccountSnapshot(AccountStatus.NORMAL, shown)
    return PollResult(snapshot, at, 1_700_000_000.0 + at, 0.25, {"/v5": RateLimit(60, 59)})


def failure(at: float, reason: FailureReason = FailureReason.NETWORK) -> PollResult:
    return PollResult(reason, at, 1_700_000_000.0 + at, 0.25)


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
    found = [
        v for (its_name, its), v in samples(store).items() if its_name == name and labels.items() <= dict(its).items()
    ]
    assert len(found) <= 1
    return found[0] if found else None


def test_before_the_first_poll(store: Store) -> None:
    store.replace_accounts([account()])
    names = {name for name, labels in samples(store) if dict(labels).get("account") == "main"}
    assert names == {"bybit_poll_interval_seconds", "bybit_polls_total", "bybit_poll_failures_total"}
    assert {v for (name, _), v in samples(store).items() if name == "bybit_poll_failures_total"} == {0.0}


def test_a_success(store: Store, clock: FakeClock) -> None:
    main = account()
    store.replace_accounts([main])
    store.record(main, success(0.0), next_poll_timestamp=1_700_000_010.0)
    assert series(store, "bybit_asset_free", account="main", account_type="SPOT", coin="ETH") == 11.53485
    assert series(store, "bybit_up", account="main") == 1
    assert series(store, "bybit_last_success_timestamp_seconds") == 1_700_000_000.0
    assert series(store, "bybit_poll_duration_seconds") == 0.25
    assert series(store, "bybit_next_poll_timestamp_seconds") == 1_700_000_010.0
    assert series(store, "bybit_api_rate_limit_requests", account="main", endpoint="/v5") == 60
    assert series(store, "bybit_api_rate_limit_remaining_requests", account="main", endpoint="/v5") == 59


def test_a_coin_that_vanishes_takes_its_series_along(store: Store) -> None:
    main = account()
    store.replace_accounts([main])
    store.record(main, success(0.0, holding("BTC", "1", "0", "0"), holding("ETH", "2", "0", "0")), 10.0)
    store.record(main, success(1.0, holding("BTC", "1", "0", "0")), 10.0)
    assert series(store, "bybit_asset_free", coin="BTC") == 1
    assert series(store, "bybit_asset_free", coin="ETH") is None


def test_figures_disappear_when_they_are_stale_and_counters_stay(store: Store, clock: FakeClock) -> None:
    main = account(stale_after=30.0)
    store.replace_accounts([main])
    store.record(main, success(0.0), 10.0)
    store.record(main, failure(10.0), 20.0)
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
    store.record(main, success(40.0), 50.0)
    clock.now = 41.0
    assert series(store, "bybit_asset_free") == 11.53485


def test_figures_that_are_the_same_are_rendered_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    main, rendered = account(), []

    def render(families: Sequence[Family[Any]], state: AccountState) -> tuple[bytes, ...]:
        rendered.append(families is FIGURE_FAMILIES)
        return render_account(families, state)

    monkeypatch.setattr(store_module, "render_account", render)
    store.replace_accounts([main])
    before = rendered.count(True)
    for at in range(3):
        store.record(main, success(float(at)), 10.0)
    assert rendered.count(True) == before + 1
    store.record(main, success(3.0, holding("ETH", "11.53486")), 10.0)
    assert series(store, "bybit_asset_free") == 11.53486
    assert series(store, "bybit_polls_total") == 4


def unified(at: float, ratio: str) -> PollResult:
    margin = MarginSummary(maintenance_margin_ratio=Decimal(ratio))
    snapshot = AccountSnapshot(AccountStatus.NORMAL, (holding("USDT", "1"),), margin=margin)
    return PollResult(snapshot, at, 1_700_000_000.0 + at, 0.25)


def test_margin_ratio_follows_every_poll_also_while_balances_are_the_same(store: Store) -> None:
    main = account()
    store.replace_accounts([main])
    for at, ratio in enumerate(("0.5", "0.8")):
        store.record(main, unified(float(at), ratio), 10.0)
        assert series(store, "bybit_account_maintenance_margin_ratio", account="main") == float(ratio)
    assert series(store, "bybit_account_equity_usd") is None, "not stated"


def test_margin_ratio_expires_with_the_balances(store: Store, clock: FakeClock) -> None:
    main = account()
    store.replace_accounts([main])
    store.record(main, unified(0.0, "0.5"), 10.0)
    store.record(main, failure(20.0), 30.0)
    clock.now = 29.9
    assert series(store, "bybit_account_maintenance_margin_ratio") == 0.5
    clock.now = 30.0
    assert series(store, "bybit_account_maintenance_margin_ratio") is None


def test_margin_ratio_of_one_wallet_is_not_shown_for_another(store: Store) -> None:
    main = dataclasses.replace(account(), account_type=AccountType.AUTO)
    store.replace_accounts([main])
    store.found(main, AccountType.UNIFIED)
    store.record(main, unified(0.0, "0.5"), 10.0)
    store.found(main, AccountType.SPOT)
    assert series(store, "bybit_account_maintenance_margin_ratio") is None


def test_nothing_is_up_without_figures(store: Store, clock: FakeClock) -> None:
    """No poll has failed, none has ended either: the process was stopped, or the exchange is left alone."""
    main = account(stale_after=30.0)
    store.replace_accounts([main])
    store.record(main, success(0.0), 10.0)
    clock.now = 1000.0
    assert series(store, "bybit_up") == 0
    assert series(store, "bybit_asset_free") is None


def test_a_ban_outlives_the_balances(store: Store, clock: FakeClock) -> None:
    main = account(stale_after=30.0)
    store.replace_accounts([main])
    store.record(main, success(0.0), 10.0)
    for clock.now in (10.0, 20.0, 30.0, 40.0):
        store.record(main, failure(clock.now, FailureReason.BANNED), 0.0)
    clock.now = 69.0
    assert series(store, "bybit_account_status", status="banned") == 1
    assert series(store, "bybit_account_status", status="normal") == 0
    assert series(store, "bybit_asset_free") is None
    clock.now = 70.0
    assert series(store, "bybit_account_status", status="banned") is None


def test_one_stale_account_does_not_take_another_along(store: Store, clock: FakeClock) -> None:
    short, long = account("short", 10.0), account("long", 100.0)
    store.replace_accounts([short, long])
    store.record(short, success(0.0), 0.0)
    store.record(long, success(0.0), 0.0)
    clock.now = 50.0
    assert series(store, "bybit_asset_free", account="short") is None
    assert series(store, "bybit_asset_free", account="long") == 11.53485


def test_removed_accounts_lose_every_series_and_kept_ones_nothing(store: Store) -> None:
    removed, kept = account("removed"), account("kept")
    store.replace_accounts([removed, kept])
    store.record(removed, success(0.0), 0.0)
    store.record(kept, success(0.0), 0.0)
    store.replace_accounts([account("kept"), account("new")])
    assert {dict(labels).get("account") for _, labels in samples(store)} == {None, "kept", "new"}
    assert series(store, "bybit_asset_free", account="kept") == 11.53485
    assert series(store, "bybit_polls_total", account="new") == 0


@pytest.mark.parametrize("keep", [True, False])
def test_an_account_that_changed_and_every_one_of_another_exchange_starts_anew(store: Store, keep: bool) -> None:
    main = account()
    store.replace_accounts([main])
    store.record(main, success(0.0), 0.0)
    store.replace_accounts([dataclasses.replace(main, poll_interval_seconds=5.0) if keep else main], keep=keep)
    assert series(store, "bybit_asset_free") is None
    assert series(store, "bybit_polls_total") == 0


def test_the_result_of_a_poll_that_a_reload_has_overtaken_is_dropped(store: Store) -> None:
    old = account()
    new = dataclasses.replace(old, coins=("BTC",))
    store.replace_accounts([old])
    store.replace_accounts([new])
    store.record(old, success(0.0), 0.0)
    store.reschedule(old, 5.0)
    store.record(account("stranger"), success(0.0), 0.0)
    assert series(store, "bybit_polls_total") == 0
    assert series(store, "bybit_next_poll_timestamp_seconds") is None


@pytest.mark.parametrize(("again", "free"), [(AccountType.SPOT, 11.53485), (AccountType.UNIFIED, None)])
def test_figures_of_one_wallet_are_never_shown_as_those_of_another(
    store: Store, again: AccountType, free: float | None
) -> None:
    main = dataclasses.replace(account(), account_type=AccountType.AUTO)
    store.replace_accounts([main])
    store.found(main, AccountType.SPOT)
    store.record(main, success(0.0), 0.0)
    store.record(main, failure(1.0, FailureReason.ACCOUNT_MODE), 0.0)
    assert series(store, "bybit_asset_free", account_type="SPOT") == 11.53485, "a failure changes no balance"
    assert store.account_type(main) is AccountType.AUTO, "it is found out again"
    store.record(main, failure(2.0), 0.0)
    assert store.account_type(main) is AccountType.AUTO, "also if that fails"
    store.found(main, again)
    assert series(store, "bybit_asset_free") == free
    assert series(store, "bybit_account_status", status="normal") == (free and 1)
    assert series(store, "bybit_api_rate_limit_remaining_requests") == (free and 59), "nor the limit of its endpoint"
    assert series(store, "bybit_up", account_type=again) == 0
    assert store.account_type(main) is again


def test_reschedule(store: Store) -> None:
    main = account()
    store.replace_accounts([main])
    store.reschedule(main, 1_700_000_600.0)
    assert series(store, "bybit_next_poll_timestamp_seconds") == 1_700_000_600.0


def test_ready_is_when_every_account_has_been_polled_once(store: Store) -> None:
    one, other = account("one"), account("other")
    store.replace_accounts([one, other])
    assert not store.ready
    store.record(one, success(0.0), 0.0)
    assert not store.ready
    store.record(other, failure(0.0), 0.0)
    assert store.ready


def test_the_exporter_s_own_state(store: Store) -> None:
    assert series(store, "bybit_exporter_config_last_reload_successful") == 1
    assert series(store, "bybit_api_clock_offset_seconds") is None
    store.update_exporter(config_reload_successful=False, clock_offset_seconds=-0.5)
    assert series(store, "bybit_exporter_config_last_reload_successful") == 0
    assert series(store, "bybit_exporter_config_last_reload_success_timestamp_seconds") == 1_700_000_000.0
    assert series(store, "bybit_api_clock_offset_seconds") == -0.5


@pytest.mark.parametrize("openmetrics", [False, True])
def test_families_are_contiguous_and_no_series_stands_twice(store: Store, openmetrics: bool) -> None:
    accounts = [account(name) for name in ("b", "a", "c")]
    store.replace_accounts(accounts)
    for one in accounts[:2]:
        store.record(one, success(0.0, holding("BTC", "1", "2", "3"), holding("ETH", "4", "5", "6")), 10.0)
    store.update_exporter(clock_offset_seconds=0.0)
    text = store.exposition(openmetrics=openmetrics).decode()
    headers = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(headers) == len(set(headers)) > len(ACCOUNT_FAMILIES) + len(EXPORTER_FAMILIES)
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


def test_openmetrics_is_what_the_library_s_strict_parser_takes(store: Store) -> None:
    nasty = account('quote " backslash \\ <script>')
    store.replace_accounts([nasty])
    store.record(nasty, success(0.0, holding("new\nline", "1e-8", "1e300")), 10.0)
    text = store.exposition(openmetrics=True).decode()
    parsed = parse_openmetrics(text)  # type: ignore[no-untyped-call]
    families = {family.name: family for family in parsed}
    assert text.endswith("# EOF\n")
    assert text.count("# EOF") == 1
    assert families["bybit_polls"].type == "counter"
    (free,) = families["bybit_asset_free"].samples
    assert (free.labels["account"], free.labels["coin"], free.value) == (nasty.name, "new\nline", 1e-8)


def test_both_formats_have_the_same_samples(store: Store) -> None:
    main = account()
    store.replace_accounts([main])
    store.record(main, success(0.0), 10.0)

    def lines(openmetrics: bool) -> list[str]:
        text = store.exposition(openmetrics=openmetrics).decode()
        return [line for line in text.splitlines() if line.startswith("bybit_")]

    assert lines(openmetrics=True) == lines(openmetrics=False)
