"""The wallets people have, side by side in one process: each shows what the exchange holds for it, each fails alone."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from typing import Any

import pytest

from bybit_exporter.model import Account, AccountType, Secret
from bybit_exporter.sandbox import (
    ACCOUNT_INFO,
    ASSET_INFO,
    COINS_BALANCE,
    KEY_INFO,
    MEMBER_FROZEN,
    MEMBER_LOGIN_BANNED,
    SUBMEMBERS,
    TICKERS,
    WALLET_BALANCE,
    WITHDRAWALS,
    Exchange,
    FundingHolding,
    Holding,
    Refusal,
    Ticker,
    UnifiedHolding,
    faults,
)
from bybit_exporter.sandbox import Account as Held
from tests.bybit_clients import give_rsa_key
from tests.in_process import JumpingClock, Serving, account_for
from tests.support import Told, eventually

UNIFIED = {
    "BTC": UnifiedHolding("2", "0.5", "128000"),
    "XRP": UnifiedHolding("-100", usd_value="-52", borrow_amount="100"),
}
FUNDING = {"USDT": FundingHolding("420", "417.5"), "BTC": FundingHolding("8.25")}


def of_type(held: Held, account_type: AccountType, **changes: Any) -> Account:
    return account_for(held, account_type=account_type, **{"poll_interval_seconds": 1.0, **changes})


class Four(Serving):
    """A spot, a unified, a funding and a master account."""

    def __init__(self) -> None:
        exchange = Exchange()
        self.spot = exchange.add_account("spot", {"ETH": Holding("11.5", "0.5", "0.25")})
        self.unified = exchange.add_account("unified", unified=UNIFIED)
        self.fund = exchange.add_account("fund", unified={}, funding=FUNDING)
        self.master = exchange.add_account("master", unified={"USDT": UnifiedHolding("5")})
        self.desk = self.master.add_member("desk", {"USDT": FundingHolding("7", "6")})
        self.lent = self.master.add_member("lent", {"BTC": FundingHolding("1")})
        self.fund.withdraw("USDT", "2.5")
        self.fund.withdraw("USDT", "1.5", "Pending")
        self.fund.withdraw("BTC", "1", "success")
        exchange.tickers.update(
            {
                "BTCUSDT": Ticker("64000", "63950.5"),
                "XRPUSDT": Ticker("0.52"),
                "ETHUSDT": Ticker("3100", "3101"),
                "SOLUSDT": Ticker("140", "141"),
                "USDTEUR": Ticker("0.92", "0.9995"),
            }
        )
        super().__init__(
            exchange,
            of_type(self.spot, AccountType.SPOT),
            of_type(self.unified, AccountType.UNIFIED),
            of_type(self.fund, AccountType.FUND),
            of_type(self.master, AccountType.AUTO, subaccounts=True, subaccount_balances=True),
        )

    def amounts(self, account: str) -> dict[str, dict[str, float]]:
        """By coin: what the exposition says of free, frozen and so on."""
        shown: dict[str, dict[str, float]] = {}
        for (name, labels), value in self.samples().items():
            if name.startswith("bybit_asset_") and dict(labels)["account"] == account:
                shown.setdefault(dict(labels)["coin"], {})[name.removeprefix("bybit_asset_")] = value
        return shown

    def are_read(self) -> None:
        """Returns once everything has been read."""
        eventually(lambda: self.service.store.ready)
        for name in ("withdrawals_up", "subaccounts_up", "prices_up"):
            self.wait_for(1.0, f"bybit_{name}")
        for name in ("spot", "unified", "fund", "master"):
            self.wait_for(1.0, "bybit_api_key_up", account=name)
        for name in ("desk", "lent"):
            self.wait_for(1.0, "bybit_subaccount_balances_up", subaccount=name)


def test_each_shows_what_the_exchange_holds_for_it() -> None:
    with Four() as four:
        four.are_read()
        assert four.amounts("spot") == {
            "ETH": {"free": 11.5, "frozen": 0.5, "withdrawing": 0.25, "usd_value": 12.25 * 3101}
        }
        no_margin = {"accrued_interest": 0.0, "unrealised_pnl": 0.0, "initial_margin": 0.0, "maintenance_margin": 0.0}
        assert four.amounts("unified") == {
            "BTC": {"free": 1.5, "frozen": 0.5, "equity": 2.0, "usd_value": 128000.0, "borrowed": 0.0, **no_margin},
            "XRP": {
                "free": -100.0,
                "frozen": 0.0,
                "equity": -100.0,
                "usd_value": -52.0,
                "borrowed": 100.0,
                **no_margin,
            },
        }
        assert four.amounts("fund") == {
            "USDT": {"free": 417.5, "frozen": 2.5, "withdrawing": 4.0, "usd_value": 424 * 0.9995},
            "BTC": {"free": 8.25, "frozen": 0.0, "withdrawing": 0.0, "usd_value": 8.25 * 63950.5},
        }
        assert four.amounts("master")["USDT"]["free"] == 5.0
        for account, account_type in zip(
            ("spot", "unified", "fund", "master"), ("SPOT", "UNIFIED", "FUND", "UNIFIED"), strict=True
        ):
            assert four.value("bybit_account_status", account=account, account_type=account_type, status="normal") == 1
            assert four.value("bybit_up", account=account) == 1
        assert four.value("bybit_subaccount_asset_free", account="master", subaccount="desk", coin="USDT") == 6
        assert four.value("bybit_subaccount_asset_frozen", account="master", subaccount="desk", coin="USDT") == 1
        assert four.value("bybit_subaccount_asset_free", account_type="FUND", subaccount="lent") == 1
        prices = {
            dict(labels)["coin"]: v for (name, labels), v in four.samples().items() if name == "bybit_coin_price_usd"
        }
        assert prices == {"BTC": 63950.5, "XRP": 0.52, "ETH": 3101.0, "USDT": 0.9995}, "and none of a coin nobody holds"
        assert not four.exchange.exceeded


PATHS = {"spot": ASSET_INFO, "unified": WALLET_BALANCE, "fund": COINS_BALANCE, "master": WALLET_BALANCE}


@pytest.mark.parametrize("name", PATHS)
def test_each_fails_alone(name: str) -> None:
    with Four() as four:
        four.are_read()
        held = four.exchange.accounts[name]
        held.faults[PATHS[name]] = faults.Status(503)
        before = four.amounts(name)
        four.wait_for(0.0, "bybit_up", account=name)
        polls = {other: four.value("bybit_polls_total", account=other) or 0.0 for other in PATHS}
        for other in PATHS:
            eventually(lambda other=other: (four.value("bybit_polls_total", account=other) or 0.0) >= polls[other] + 2)  # type: ignore[misc]
        for other in PATHS.keys() - {name}:
            assert four.value("bybit_up", account=other) == 1
        assert four.amounts(name) == before
        assert four.value("bybit_poll_failures_total", account=name, reason="server")
        del held.faults[PATHS[name]]
        four.wait_for(1.0, "bybit_up", account=name)


def test_a_ban_shows_on_every_kind_of_wallet() -> None:
    with Four() as four:
        four.are_read()
        for name in PATHS:
            four.exchange.accounts[name].refusal = Refusal(10027)
        for name in PATHS:
            four.wait_for(1.0, "bybit_account_status", account=name, status="banned")
            assert four.value("bybit_up", account=name) == 0
            assert four.value("bybit_account_status", account=name, status="normal") == 0


BESIDE: dict[str, tuple[str, str, str]] = {
    "withdrawals": ("fund", WITHDRAWALS, "bybit_withdrawals_up"),
    "key": ("spot", KEY_INFO, "bybit_api_key_up"),
    "subaccounts": ("master", SUBMEMBERS, "bybit_subaccounts_up"),
    "subaccount balances": ("master", COINS_BALANCE, "bybit_subaccount_balances_up"),
    "prices": ("", TICKERS, "bybit_prices_up"),
}


@pytest.mark.parametrize("what", BESIDE)
def test_what_is_read_beside_the_polls_fails_neither_them_nor_their_age(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, path, up = BESIDE[what]
    clock = JumpingClock(monkeypatch)
    with Four() as four:
        four.are_read()
        (four.exchange.accounts[account] if account else four.exchange).faults[path] = faults.Body(b"<html>")
        four.service.reload()
        clock.jump(400.0)  # all is due: the key's check after a success only with the next hour
        if what == "key":
            clock.jump(3600.0)
        eventually(lambda: 0.0 in every(four, up))
        ups = [four.value("bybit_up", account=name) for name in PATHS]
        eventually(lambda: [four.value("bybit_up", account=name) for name in PATHS] == [1.0] * 4)
        assert ups
        assert all(four.amounts(name) for name in PATHS)
        (four.exchange.accounts[account] if account else four.exchange).faults.clear()
        clock.jump(400.0)
        eventually(lambda: set(every(four, up)) == {1.0})


def every(serving: Serving, name: str) -> list[float]:
    return [value for (series, _), value in serving.samples().items() if series == name]


def test_stale_withdrawals_and_prices_are_withdrawn_and_the_balances_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock(monkeypatch)
    with Four() as four:
        four.are_read()
        four.fund.faults[WITHDRAWALS] = faults.Status(500)
        four.exchange.faults[TICKERS] = faults.Status(500)
        clock.jump(170.0)
        eventually(lambda: four.value("bybit_asset_free", account="fund", coin="BTC") == 8.25)
        assert every(four, "bybit_coin_price_usd")
        clock.jump(20.0)
        eventually(lambda: four.value("bybit_asset_free", account="fund", coin="BTC") == 8.25)
        assert [
            name
            for name, labels in four.samples()
            if name == "bybit_asset_withdrawing" and ("account", "fund") in labels
        ] == []
        assert every(four, "bybit_coin_price_usd") == []
        assert four.value("bybit_withdrawals_up") == four.value("bybit_prices_up") == 0


def test_a_key_that_may_not_read_withdrawals_has_no_such_series_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    clock = JumpingClock(monkeypatch)
    four = Four()
    four.fund.refusals[WITHDRAWALS] = Refusal(10005)
    with four:
        four.wait_for(8.25, "bybit_asset_free", account="fund", coin="BTC")

        def asked() -> int:
            return sum(recorded.request.path == WITHDRAWALS for recorded in four.fund.requests)

        eventually(lambda: asked() == 1)
        clock.jump(240.0)
        four.wait_for(1.0, "bybit_up", account="fund")
        assert asked() == 1
        clock.jump(130.0)
        eventually(lambda: asked() == 2)
        four.wait_for(1.0, "bybit_up", account="fund")
        assert set(four.amounts("fund")["BTC"]) == {"free", "frozen", "usd_value"}
        assert four.value("bybit_withdrawals_up") is None
    assert len([event for event in told() if "withdrawals" in event["event"]]) == 1


@pytest.mark.parametrize("fault", [faults.Status(404), faults.Status(403)], ids=["404", "403"])
def test_any_other_refusal_of_the_withdrawals_is_a_fault(fault: faults.Status) -> None:
    """Or else nobody would hear that a theft is not seen any more."""
    four = Four()
    four.fund.faults[WITHDRAWALS] = fault
    with four:
        four.wait_for(0.0, "bybit_withdrawals_up", account="fund")
        four.wait_for(1.0, "bybit_up", account="fund")


def test_a_coin_that_is_all_on_its_way_out_is_shown() -> None:
    with Four() as four:
        four.fund.funding.rows = {"BTC": FundingHolding("8.25")}
        four.are_read()
        expected = {"free": 0.0, "frozen": 0.0, "withdrawing": 4.0, "usd_value": 4 * 0.9995}
        eventually(lambda: four.amounts("fund").get("USDT") == expected)


def test_the_states_of_subaccounts(monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    clock = JumpingClock(monkeypatch)
    with Four() as four:
        four.are_read()
        assert four.value("bybit_subaccount_status", subaccount="desk", status="normal") == 1
        four.desk.status, four.lent.status = MEMBER_FROZEN, MEMBER_LOGIN_BANNED
        clock.jump(61.0)
        four.wait_for(1.0, "bybit_subaccount_status", subaccount="desk", status="frozen")
        four.wait_for(1.0, "bybit_subaccount_status", subaccount="lent", status="login_banned")
        assert four.value("bybit_subaccount_status", subaccount="desk", status="normal") == 0
        four.desk.status = 77
        del four.master.members[four.lent.uid]
        clock.jump(61.0)
        four.wait_for(1.0, "bybit_subaccount_status", subaccount="desk", status="unknown")
        four.wait_for(None, "bybit_subaccount_asset_free", subaccount="lent")
        assert four.value("bybit_subaccount_status", subaccount="lent", status="login_banned") is None
    events = [event["event"] for event in told() if "subaccount" in event]
    assert events.count("the exchange restricts a subaccount") == 2
    assert events.count("the exchange reports an undocumented status of a subaccount") == 1


def test_auto_is_asked_once_and_again_when_the_account_has_changed() -> None:
    exchange = Exchange()
    held = exchange.add_account("main", {"ETH": Holding("1")})
    with Serving(exchange, of_type(held, AccountType.AUTO)) as serving:
        serving.wait_for(1.0, "bybit_asset_free", account_type="SPOT", coin="ETH")
        polls = serving.value("bybit_polls_total") or 0.0
        eventually(lambda: (serving.value("bybit_polls_total") or 0.0) >= polls + 2)
        assert [r.request.path for r in held.requests].count(ACCOUNT_INFO) == 1
        held.mode = "unified"
        held.unified.update({"ETH": UnifiedHolding("3", "1")})
        serving.wait_for(2.0, "bybit_asset_free", account_type="UNIFIED", coin="ETH")
        assert [r.request.path for r in held.requests].count(ACCOUNT_INFO) == 2
        assert {
            dict(labels).get("account_type") for _, labels in serving.samples() if ("account", "main") in labels
        } <= {
            "UNIFIED",
            None,
        }
        assert serving.value("bybit_poll_failures_total", reason="account_mode") == 0, "it could be read at once"
        assert (serving.value("bybit_polls_total") or 0.0) > polls, "counters go on"


@pytest.mark.parametrize("code", [10008, 10028, 100028])
def test_a_unified_account_that_is_configured_as_spot_is_told_what_to_write(code: int, told: Told) -> None:
    exchange = Exchange()
    held = exchange.add_account("main", unified=UNIFIED)
    held.mode_code = code
    with Serving(exchange, of_type(held, AccountType.SPOT)) as serving:
        serving.wait_for(0.0, "bybit_up")
        failure = serving.service.store.accounts()[0].failure
    (begun,) = [event for event in told() if event["event"] == "the account cannot be read"]
    assert failure is not None
    for text in (failure.advice, begun["advice"]):
        assert "write account_type: UNIFIED instead of account_type: SPOT" in text


def test_a_key_that_can_do_more_than_read_is_warned_of_at_the_start(told: Told) -> None:
    four = Four()
    four.spot.key.read_only = False
    four.fund.key.expires_at = time.time() + 10 * 86_400
    with four:
        four.are_read()
        assert four.value("bybit_api_key_read_only", account="spot") == 0
        assert four.value("bybit_api_key_read_only", account="unified") == 1
        assert four.value("bybit_api_key_ip_bound", account="spot") == 0
        expiry = four.value("bybit_api_key_expiry_timestamp_seconds", account="fund")
        assert expiry == pytest.approx(four.fund.key.expires_at, abs=1)
    warned = [(event["account"], event["event"]) for event in told() if "key" in event["event"]]
    assert (
        "spot",
        "this key can do more than read: make a read-only one for the exporter, and delete this one",
    ) in warned
    assert ("fund", "the key expires soon: make a new one") in warned
    assert len(warned) == 2


def test_prices_can_be_turned_off_and_on_while_running() -> None:
    with Four() as four:
        four.are_read()
        assert four.value("bybit_coin_price_usd", coin="BTC")
        four.config = dataclasses.replace(four.config, prices_interval_seconds=None)
        four.service.reload()
        assert every(four, "bybit_coin_price_usd") == every(four, "bybit_prices_up") == []
        four.config = dataclasses.replace(four.config, prices_interval_seconds=1.0)
        four.service.reload()
        eventually(lambda: four.value("bybit_coin_price_usd", coin="BTC") == 63950.5)
        four.exchange.tickers.update({"BTCUSDT": Ticker("1", "2")})
        eventually(lambda: four.value("bybit_coin_price_usd", coin="BTC") == 2)


def test_without_prices_the_exchange_is_not_asked_for_them() -> None:
    exchange = Exchange()
    held = exchange.add_account("main", {"ETH": Holding("1")})
    with Serving(exchange, of_type(held, AccountType.SPOT), prices=None) as serving:
        serving.wait_for(1.0, "bybit_api_key_up")
        assert TICKERS not in {recorded.request.path for recorded in exchange.requests}


def test_one_key_for_two_wallets() -> None:
    """As most people have it: a unified and a funding wallet, and one key."""
    exchange = Exchange()
    held = exchange.add_account("main", unified=UNIFIED, funding=FUNDING)
    trading = of_type(held, AccountType.UNIFIED)
    savings = of_type(held, AccountType.FUND, name="savings")
    with Serving(exchange, trading, savings) as serving:
        serving.wait_for(1.5, "bybit_asset_free", account="main", coin="BTC")
        serving.wait_for(8.25, "bybit_asset_free", account="savings", coin="BTC")


def test_a_poll_is_one_request_however_many_coins() -> None:
    for kind, coins in ((AccountType.UNIFIED, ("BTC", "SOL", "XRP")), (AccountType.FUND, ("USDT",))):
        exchange = Exchange()
        held = exchange.add_account("main", unified=UNIFIED, funding=FUNDING)
        with Serving(exchange, of_type(held, kind, coins=coins)) as serving:
            eventually(lambda serving=serving: (serving.value("bybit_polls_total") or 0.0) >= 2)  # type: ignore[misc]
            wallets = [r.request.query for r in held.requests if r.request.path in (WALLET_BALANCE, COINS_BALANCE)]
            assert len(wallets) == pytest.approx(serving.value("bybit_polls_total") or 0.0, abs=1)
            assert set(wallets) == {f"accountType={kind}"}
            shown = {dict(labels)["coin"] for (name, labels) in serving.samples() if name == "bybit_asset_free"}
            assert shown == set(coins)


def test_a_key_that_signs_with_rsa() -> None:
    exchange = Exchange()
    held = exchange.add_account("main", {"ETH": Holding("1.25")})
    account = dataclasses.replace(of_type(held, AccountType.SPOT), api_secret=Secret(give_rsa_key(held)))
    with Serving(exchange, account) as serving:
        serving.wait_for(1.25, "bybit_asset_free", coin="ETH")


def test_every_limit_is_kept_with_fifty_accounts_and_a_thousand_subaccounts() -> None:
    exchange = Exchange()
    exchange.tickers.update({"USDTUSD": Ticker("1", "1")})
    kinds = [AccountType.SPOT, AccountType.UNIFIED, AccountType.FUND, AccountType.AUTO, AccountType.FUND]
    accounts = []
    for number in range(50):
        held = exchange.add_account(
            f"account-{number}", {"ETH": Holding("1")}, unified=None if number % 5 == 0 else UNIFIED, funding=FUNDING
        )
        for member in range(20):
            held.add_member(f"member-{number}-{member}", {"USDT": FundingHolding("1")})
        accounts.append(
            of_type(
                held,
                kinds[number % 5],
                poll_interval_seconds=2.0,  # once a second is the limit of the spot wallet
                stale_after_seconds=60.0,
                subaccounts=True,
                subaccount_balances=number % 10 == 4,
                products=True,
            )
        )
    master = exchange.add_account("master", unified=UNIFIED)
    for member in range(1000):
        master.add_member(f"desk-{member}", {"USDT": FundingHolding(str(member))})
    accounts.append(of_type(master, AccountType.UNIFIED, subaccounts=True, subaccount_balances=True, products=True))
    with Serving(exchange, *accounts) as serving:
        eventually(lambda: len(every(serving, "bybit_subaccount_status")) == 4 * 2000, 60.0)
        eventually(lambda: len(every(serving, "bybit_api_key_up")) == 51, 60.0)
        eventually(lambda: len(every(serving, "bybit_subaccount_balances_up")) >= 60, 60.0)
        eventually(lambda: len(every(serving, "bybit_subaccount_equity_usd")) >= 2 * 2000 - 500, 60.0)
        eventually(lambda: len(every(serving, "bybit_products_up")) == 51, 60.0)
        assert set(every(serving, "bybit_up")) == {1.0}
        assert exchange.exceeded == {}
        assert exchange.refused == {}, Counter(recorded.request.path for recorded in exchange.requests)
