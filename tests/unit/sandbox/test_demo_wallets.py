"""The demo's unified, funding and master accounts, its prices and keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from bybit_exporter.sandbox import (
    ASSET_INFO,
    ASSET_OVERVIEW,
    COINS_BALANCE,
    KEY_INFO,
    MEMBER_FROZEN,
    MEMBER_LOGIN_BANNED,
    MEMBER_NORMAL,
    MEMBERS_ASSETS,
    SUBMEMBERS,
    TICKERS,
    WALLET_BALANCE,
    WITHDRAWABLE_AMOUNT,
    WITHDRAWALS,
    Account,
    Exchange,
    Request,
    Ticker,
    UnifiedHolding,
    Withdrawal,
    handle,
)
from bybit_exporter.sandbox.demo import configuration_of, configured_total_usd, demo_exchange
from bybit_exporter.sandbox.demo.accounts import MARGIN, VAULT
from bybit_exporter.sandbox.demo.market import DECIMALS
from bybit_exporter.sandbox.demo.trading import Order, UnifiedBook
from bybit_exporter.sandbox.records import ENDED, UNDER_WAY
from tests.sandbox_client import refusal, result
from tests.support import FakeClock

HOUR = 3600
ASKED = {
    "margin": (WALLET_BALANCE, "accountType=UNIFIED"),
    "vault": (COINS_BALANCE, "accountType=FUND"),
    "group": (SUBMEMBERS, "pageSize=100"),
}


def members(account: Account) -> dict[str, Any]:
    return {member.username: (member.status, member.funding.rows) for member in account.members.values()}


STATES: Mapping[str, Callable[[Account], Any]] = {
    "margin": lambda account: account.unified.rows,
    "vault": lambda account: (account.funding.rows, account.withdrawals.rows),
    "group": members,
}


def history(name: str, seconds: float, every: float, seed: str = "demo") -> list[Any]:
    """The states that a client sees which asks at that interval."""
    clock = FakeClock()
    exchange = demo_exchange(clock, seed)
    account, end, seen = exchange.accounts[name], clock.now + seconds, []
    while clock.now <= end:
        assert refusal(account, *ASKED[name]) == 0
        seen.append(STATES[name](account))
        clock.now += every
    return seen


@pytest.mark.parametrize("name", STATES)
def test_figures_follow_from_the_seed_and_the_time(name: str) -> None:
    often, seldom = history(name, HOUR, 10), history(name, HOUR, 100)
    assert often[::10] == seldom
    assert history(name, HOUR, 10, seed="another") != often


# --- the unified account


def test_unified_account_trades_and_has_a_debt_for_a_day() -> None:
    seen = history("margin", 24 * HOUR, 60)
    for coins in seen:
        for coin, held in coins.items():
            if coin == "XRP":
                assert (held.wallet_balance, held.debt, held.locked) == ("-1500.00", "1500.00", "0")
                continue
            assert 0 <= Decimal(held.locked) < Decimal(held.wallet_balance), coin
            assert -Decimal(held.wallet_balance).as_tuple().exponent <= DECIMALS[coin]  # type: ignore[operator]
    assert any(Decimal(held.locked) for held in seen[0].values()), "something is locked from the first moment"
    for moving in ("BTC", "ETH", "SOL", "USDT"):
        assert len({coins[moving].locked for coins in seen}) > 10
        assert len({coins[moving].wallet_balance for coins in seen}) > 10


def test_filled_order_replaces_the_locked_amount() -> None:
    account = Exchange().add_account(
        "a", unified={"BTC": UnifiedHolding("1", "0.5"), "USDT": UnifiedHolding("10", "3")}
    )
    UnifiedBook().fill(account, Order("BTC", Decimal("0.2"), "USDT", Decimal(12800)))
    assert account.unified.rows == {"BTC": UnifiedHolding("0.8", "0.3"), "USDT": UnifiedHolding("12810", "3")}


def test_values_in_usd_follow_the_prices() -> None:
    clock = FakeClock()
    exchange = demo_exchange(clock)
    seen = set()
    for _ in range(20):
        coins = {c["coin"]: c for c in result(exchange.accounts["margin"], *ASKED["margin"])["list"][0]["coin"]}
        assert set(coins) == set(MARGIN)
        for coin in ("BTC", "XRP"):
            price = Decimal(exchange.tickers.rows[f"{coin}USDT"].usd_index_price)
            assert Decimal(coins[coin]["usdValue"]) == Decimal(coins[coin]["equity"]) * price
        assert coins["USDC"]["usdValue"] == "12500"
        seen.add(coins["BTC"]["usdValue"])
        clock.now += 5
    assert len(seen) > 15


# --- the funding account


def test_withdrawals_are_checked_then_pending_then_end() -> None:
    words: dict[str, list[str]] = {}
    for _, records in history("vault", 2 * HOUR, 5):
        for record in records.values():
            seen = words.setdefault(record.withdraw_id, [record.status])
            if seen[-1] != record.status:
                seen.append(record.status)
    courses = {tuple(seen) for seen in words.values() if len(seen) == 3}
    assert courses == {("SecurityCheck", "Pending", end) for end in ("success", "BlockchainConfirmed", "CancelByUser")}
    assert all(set(seen) <= {*UNDER_WAY, *ENDED} for seen in words.values())


def test_vault_and_its_withdrawals_never_decrease_together() -> None:
    """The balance plus all withdrawals that were not cancelled never decreases."""
    withdrawn: dict[str, Withdrawal] = {}
    before = dict.fromkeys(VAULT, Decimal(0))
    for funding, records in history("vault", 2 * HOUR, 5):
        withdrawn |= records
        kept = [each for each in withdrawn.values() if each.status != "CancelByUser"]
        for coin, held in funding.items():
            total = Decimal(held.wallet_balance) + sum(Decimal(each.amount) for each in kept if each.coin == coin)
            assert total >= before[coin]
            before[coin] = total
    assert any(each.status == "CancelByUser" for each in withdrawn.values())


def test_vault_withdraws_within_two_minutes_and_not_always() -> None:
    seen = [any(each.status in UNDER_WAY for each in records.values()) for _, records in history("vault", HOUR, 5)]
    assert any(seen[:24])
    assert {True, False} == set(seen)


def test_vault_stays_plausible_for_a_day_and_drops_old_records() -> None:
    for funding, records in history("vault", 24 * HOUR, 60):
        assert len(records) <= 120
        assert sorted(records, key=int) == list(records)
        for coin, held in funding.items():
            kept_back = Decimal(VAULT[coin].wallet_balance) - Decimal(VAULT[coin].transferable)
            assert Decimal(held.transferable) > 0
            assert Decimal(held.wallet_balance) - Decimal(held.transferable) == kept_back


def test_vault_records_are_recent() -> None:
    clock = FakeClock()
    vault = demo_exchange(clock).accounts["vault"]
    result(vault, *ASKED["vault"])
    clock.now += HOUR
    rows = result(vault, WITHDRAWALS, "withdrawType=2&limit=50")["rows"]
    assert clock.now * 1000 - int(rows[0]["createTime"]) < 300_000
    assert all(int(row["updateTime"]) <= clock.now * 1000 for row in rows)


# --- the master account


def test_last_subaccount_is_banned_and_frozen_at_times() -> None:
    seen = history("group", HOUR, 10)
    states = {name: {moment[name][0] for moment in seen} for name in seen[0]}
    assert len(states) == 12
    assert states.pop("onandoff12") == {MEMBER_NORMAL, MEMBER_LOGIN_BANNED, MEMBER_FROZEN}
    assert set(map(frozenset, states.values())) == {frozenset({MEMBER_NORMAL})}
    assert seen[0]["onandoff12"][0] == MEMBER_NORMAL


def test_subaccounts_transfer_to_each_other() -> None:
    seen = history("group", 24 * HOUR, 300)
    amounts = [[Decimal(funds["USDT"].wallet_balance) for _, funds in moment.values()] for moment in seen]
    assert {sum(moment) for moment in amounts} == {sum(amounts[0])}
    assert all(amount > 0 for moment in amounts for amount in moment)
    assert len(set(map(tuple, amounts))) > 200


# --- margin, debts and products


def wallet(account: Account) -> dict[str, Any]:
    found: dict[str, Any] = result(account, WALLET_BALANCE, "accountType=UNIFIED")["list"][0]
    return found


def test_isolated_account_has_a_position_and_no_account_wide_margin() -> None:
    clock = FakeClock()
    account = demo_exchange(clock).accounts["isolated"]
    profits = set()
    for _ in range(100):
        answer = wallet(account)
        assert answer["accountMMRate"] == answer["totalAvailableBalance"] == ""
        usdt = answer["coin"][0]
        tied_up = sum(Decimal(usdt[name]) for name in ("locked", "totalOrderIM", "totalPositionIM", "bonus"))
        assert 0 < Decimal(usdt["totalPositionMM"]) < tied_up < Decimal(usdt["walletBalance"])
        profits.add(Decimal(usdt["unrealisedPnl"]))
        clock.now += 60
    assert len(profits) > 90
    assert min(profits) < 0 < max(profits)


def test_spot_short_has_a_debt_beside_an_empty_balance() -> None:
    clock = FakeClock()
    account = demo_exchange(clock).accounts["short"]
    before = {coin["coin"]: coin for coin in wallet(account)["coin"]}["ETH"]
    assert (before["walletBalance"], before["spotBorrow"], before["equity"]) == ("0", "12.00000", "-12.00000")
    assert Decimal(before["usdValue"]) < -30_000
    clock.now += HOUR
    after = {coin["coin"]: coin for coin in wallet(account)["coin"]}["ETH"]
    assert Decimal(after["accruedInterest"]) > Decimal(before["accruedInterest"]) > 0


def test_leveraged_account_comes_near_liquidation_and_recovers_within_25_minutes() -> None:
    clock = FakeClock()
    account = demo_exchange(clock).accounts["leveraged"]
    ratios = []
    for _ in range(1500 // 5):
        answer = wallet(account)
        ratios.append(Decimal(answer["accountMMRate"]))
        assert Decimal(answer["totalMaintenanceMargin"]) < Decimal(answer["totalMarginBalance"])
        clock.now += 5
    assert (min(ratios), max(ratios)) == (Decimal("0.3"), Decimal("0.9"))
    assert all(abs(after - before) < Decimal("0.01") for before, after in pairwise(ratios))
    assert sum(ratio > Decimal("0.8") for ratio in ratios) * 5 > 300, "long enough for an alert that waits"
    assert wallet(account)["accountMMRate"] == "0.3", "the cycle starts again"


def test_products_are_savings_a_bot_copy_trading_and_a_loan() -> None:
    clock = FakeClock()
    account = demo_exchange(clock).accounts["earn"]
    listed = {each["accountType"]: each for each in result(account, ASSET_OVERVIEW)["list"]}
    assert list(listed) == [
        *("Earn", "TradingBot", "CopyTrading", "CryptoLoans"),
        *("FundingAccount", "UnifiedTradingAccount"),
    ]
    assert listed["CryptoLoans"]["coinDetail"] == [{"coin": "USDT", "equity": "-40000.00"}]
    assert [category["category"] for category in listed["Earn"]["categories"]] == ["Easy Earn", "On-Chain Earn"]
    assert clock.now * 1000 - int(listed["CryptoLoans"]["snapshotTime"]) == 45_000
    clock.now += HOUR
    later = result(account, ASSET_OVERVIEW, "accountType=Earn")["list"][0]
    assert Decimal(later["categories"][0]["coinDetail"][1]["equity"]) > 120_000


def test_subaccounts_have_a_funding_and_a_unified_wallet() -> None:
    listed = result(demo_exchange(FakeClock()).accounts["group"], MEMBERS_ASSETS)["list"]
    assert len(listed) == 13
    for each in listed[1:]:
        assert [item["type"] for item in each["items"]] == ["ACCOUNT_TYPE_FUND", "ACCOUNT_TYPE_UNIFIED"]
        assert all(Decimal(item["origb"]) > 1000 for item in each["items"])


def test_vault_has_an_amount_held_back_for_a_part_of_each_hour() -> None:
    clock = FakeClock()
    vault = demo_exchange(clock).accounts["vault"]
    seen = []
    for _ in range(60):
        seen.append(result(vault, WITHDRAWABLE_AMOUNT, "coin=USDT")["limitAmountUsd"])
        clock.now += 60
    assert 18 <= seen.count("2500") <= 21
    assert set(seen) == {"0", "2500"}


def test_total_is_the_sum_of_what_the_answers_say() -> None:
    """Computed from the answers, as a client would: the exporter must come to the same figure."""
    clock = FakeClock()
    exchange = demo_exchange(clock)
    for _ in range(3):
        clock.now += 0.25 * HOUR
        total = configured_total_usd(exchange)
        assert total > 1_000_000
        exchange.accounts["banned-now-and-then"].behaviour = None
        exchange.accounts["banned-now-and-then"].refusal = None
        assert abs(sum_of_answers(exchange) - total) < Decimal("0.001")


def sum_of_answers(exchange: Exchange) -> Decimal:
    prices = {
        symbol.removesuffix("USDT"): Decimal(t.usd_index_price)
        for symbol, t in tickers(exchange).items()
        if symbol.endswith("USDT")
    }
    prices["USDT"] = Decimal(tickers(exchange)["USDTEUR"].usd_index_price)
    total = Decimal(0)
    for entry in configuration_of(exchange):
        account = exchange.accounts[entry["name"]]
        if entry["account_type"] == "SPOT":
            for asset in result(account, ASSET_INFO, "accountType=SPOT")["spot"]["assets"]:
                amount = sum(Decimal(asset[field] or "0") for field in ("free", "frozen", "withdraw"))
                total += amount * prices[asset["coin"]]
        elif entry["account_type"] == "FUND":
            for row in result(account, COINS_BALANCE, "accountType=FUND")["balance"]:
                total += Decimal(row["walletBalance"]) * prices.get(row["coin"], Decimal(0))
            for row in result(account, WITHDRAWALS, "withdrawType=2")["rows"]:
                if row["status"] in UNDER_WAY:
                    total += Decimal(row["amount"]) * prices[row["coin"]]
        else:
            total += sum(Decimal(coin["usdValue"]) for coin in wallet(account)["coin"])
    return total


# --- prices


def tickers(exchange: Exchange) -> Mapping[str, Ticker]:
    assert handle(exchange, Request("GET", TICKERS, "category=spot")).status == 200
    return exchange.tickers.rows


def test_prices_move_a_little_and_every_coin_but_one_has_one() -> None:
    clock = FakeClock()
    exchange = demo_exchange(clock)
    wallets = [[*account.spot.rows, *account.unified.rows] for account in exchange.accounts.values()]
    held = {coin for wallet in wallets for coin in wallet} | set(VAULT)
    first = tickers(exchange)
    assert {coin for coin in held if f"{coin}USDT" not in first} == {"USDT", "GIFT"}
    assert first["USDTEUR"].usd_index_price
    assert first["ETHBTC"].usd_index_price == ""
    assert first["BTCUSDT"].day_before not in (None, first["BTCUSDT"].last_price)
    lasts = set()
    for _ in range(500):
        clock.now += 60
        now = tickers(exchange)
        assert now.keys() == first.keys()
        lasts.add(now["BTCUSDT"].last_price)
        for symbol in now:
            assert abs(Decimal(now[symbol].last_price) / Decimal(first[symbol].last_price) - 1) < Decimal("0.05")
    assert len(lasts) > 400


# --- keys and the configuration


def test_keys_are_read_only_and_one_expires() -> None:
    clock = FakeClock()
    keys = {
        name: result(account, KEY_INFO)
        for name, account in demo_exchange(clock).accounts.items()
        if name != "banned-now-and-then"
    }
    assert {key["readOnly"] for key in keys.values()} == {1}
    assert {name for name, key in keys.items() if key["ips"] == ["*"]} == {"vault"}
    assert {name: key["deadlineDay"] for name, key in keys.items() if key["deadlineDay"] >= 0} == {"vault": 60}


def test_configuration_names_type_subaccounts_and_products() -> None:
    exchange = demo_exchange(credentials={"group": ("k", "s")})
    configured = configuration_of(exchange)
    assert [(entry["name"], entry["account_type"]) for entry in configured] == [
        ("trading", "SPOT"),
        ("treasury", "SPOT"),
        ("banned-now-and-then", "SPOT"),
        ("margin", "UNIFIED"),
        ("vault", "FUND"),
        ("group", "auto"),
        ("isolated", "UNIFIED"),
        ("short", "UNIFIED"),
        ("earn", "UNIFIED"),
        ("leveraged", "UNIFIED"),
    ]
    assert configured[5] == {
        "name": "group",
        "account_type": "auto",
        "api_key": "k",
        "api_secret": "s",
        "subaccounts": {"balances": "FUND"},
    }
    assert [entry["name"] for entry in configured if "subaccounts" in entry] == ["group"]
    assert [entry["name"] for entry in configured if "products" in entry] == ["earn"]
