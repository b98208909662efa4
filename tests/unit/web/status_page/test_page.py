"""The status page as a document: what is on it in which state, and that texts from outside stay texts."""

from __future__ import annotations

import dataclasses
import math
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bybit_exporter.model import (
    AccountStatus,
    AccountType,
    ApiKey,
    Balance,
    FailureReason,
    MarketPrices,
    ProductEquity,
    Products,
    Resource,
    Subaccount,
    SubaccountEquity,
    SubaccountStatus,
)
from bybit_exporter.sharding import Shard
from bybit_exporter.web.status_page.formatting import visible
from bybit_exporter.web.status_page.page import CONTENT_SECURITY_POLICY, render
from bybit_exporter.web.status_page.page_cache import Page
from bybit_exporter.web.status_page.query import SORTS, Query
from bybit_exporter.web.status_page.view import HEAD_ROWS, MAX_BRIEF, MAX_GROUPS, MAX_ROWS
from tests.browser.site import STALE_AFTER_SECONDS, Site, every_state
from tests.builders import make_balance, make_failure
from tests.support import eventually
from tests.unit.web.status_page.document import Document, page, section

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


@pytest.fixture
def site() -> Site:
    site = Site("main")
    site.read("main", {"ETH": "2 0.5", "BTC": "1.000000000000000000000000000000000001 0 3", "USDT": "1E+3 0 0"})
    return site


@pytest.fixture
def unified() -> Site:
    site = Site()
    site.add("main", AccountType.UNIFIED)
    return site


def test_amount_is_shown_to_its_last_digit(site: Site) -> None:
    assert page(site).texts("td")[4:7] == ["1.000000000000000000000000000000000001", "0", "3"]
    assert page(site).texts("td")[8] == "1,000"


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("main", ["Normal"]),
        ("banned", ["Banned"]),
        ("refused", ["Banned"]),
        ("flaky", ["Reading fails", "Normal"]),
        ("stale", ["Not current"]),
        ("odd", ["Unknown status"]),
        ("new", ["Starting"]),
    ],
)
def test_account_in_each_state_has_its_badges(state: str, says: list[str]) -> None:
    assert section(every_state(), state).startswith(" ".join([state, *says, "Not current SPOT ·"]))


def test_ban_when_reading_fails_for_another_reason_stays_first() -> None:
    site = Site("main")
    site.read("main", {}, AccountStatus.BANNED)
    site.fail("main", FailureReason.TIMEOUT, "no answer")
    assert section(site, "main").startswith("main Banned Reading fails")


def test_accounts_in_different_states_are_sorted_and_counted_by_severity() -> None:
    document = page(every_state())
    worst = ["banned", "refused", "near"]
    warned = ["flaky", "stale", "odd", "cross", "high"]
    names = [*worst, *warned, "new", "main", "<script>alert('account')</script>", "isolated"]
    assert document.texts("h2") == names
    assert document.texts("li") == [
        "12 accounts",
        "3 critical",
        "5 warning",
        "1 starting",
        "3 normal",
    ]
    assert document.texts("title") == ["3 critical \N{EN DASH} Bybit exporter"]


def test_account_not_normal_has_the_reason_and_the_advice() -> None:
    assert "timeout no answer within 10s; the exchange or the network is slow" in section(every_state(), "flaky")
    assert "contact its support" in section(every_state(), "banned")
    assert "contact its support" in section(every_state(), "refused")


def test_account_read_has_the_times_of_the_last_and_the_next_poll(site: Site) -> None:
    site.clock.now += 12
    assert "read 12s ago · next in 18s" in section(site, "main")
    site.clock.now += 20
    assert "read 32s ago · next now" in section(site, "main")


def test_figures_expired_are_not_on_the_page(site: Site) -> None:
    site.clock.now += STALE_AFTER_SECONDS - 0.001
    assert page(site).texts("td")
    site.clock.now += 0.001
    document = page(site)
    assert not document.texts("td")
    assert "No current figures." in section(site, "main")
    assert "expired, since no poll has ended" in section(site, "main")


def test_section_with_figures_has_the_seconds_until_they_expire(site: Site) -> None:
    site.clock.now += 12
    assert page(site).attributes("section")[0]["data-valid"] == f"{STALE_AFTER_SECONDS - 12:.1f}"


def test_page_in_demo_mode_says_that_figures_are_invented(site: Site) -> None:
    assert any("every figure on this page is invented" in text for text in page(site, demo=True).texts("p"))
    assert not any("invented" in text for text in page(site).texts("p"))


def test_page_of_a_shard_has_its_number() -> None:
    text = render(Site().store, shard=Shard(1, 4)).html
    assert Document(text).texts("span")[0] == "Shard 1 of 4"
    assert Document(text).texts("p", "more")[0] == "No account falls to this shard."
    alone = render(Site().store).html
    assert "hard" not in "".join(Document(alone).texts("body"))


def test_page_links_the_endpoints(site: Site) -> None:
    text = render(site.store, telemetry_path="/other").html
    links = [attributes["href"] for attributes in Document(text).attributes("a")]
    assert links[-4:] == ["/other", "/-/healthy", "/-/ready", "/-/documentation"]


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}&amp;\u202e\u200b\x00"


def test_names_with_markup_are_shown_as_text() -> None:
    plain, hostile = Site("main"), Site(HOSTILE)
    for site, name in ((plain, "main"), (hostile, HOSTILE)):
        site.read(name, {name: "1"})
        site.fail(name, FailureReason.API, name)
    shown = visible(HOSTILE)
    document = page(hostile, q="<script>")
    assert document.texts("h2") == document.texts("th")[5:] == [shown]
    assert [tag for tag, _, _ in document.found] == [tag for tag, _, _ in page(plain, q="m").found]


@given(st.text(min_size=1), st.text(), st.text())
def test_texts_of_any_kind_do_not_change_the_structure(name: str, message: str, asked: str) -> None:
    site = Site(name)
    site.read(name, {name: "1"})
    site.fail(name, FailureReason.API, message + "!")
    text = render(site.store, Query.of({"q": asked, "sort": asked})).html
    text.encode()
    tags = [tag for tag, _, _ in Document(text).found]
    assert tags.count("script") == tags.count("main") == 1
    assert not set(tags) & {"img", "iframe", "object"}


def test_page_has_nothing_inline_besides_what_the_policy_allows(site: Site) -> None:
    text, policy = render(site.store).html, CONTENT_SECURITY_POLICY
    assert not re.search(r"<[^>]+\s(on\w+|style)\s*=", text)
    assert "unsafe" not in policy
    assert "http" not in policy
    assert re.findall(r'(?:src|href)="(?!/|#|\?|data:)[^"]*"', text) == []


@pytest.mark.parametrize("sort", [sort for sort in SORTS if not sort.endswith(("borrowed", "usd_value"))])
def test_coins_with_each_sort_are_in_that_order(sort: str, site: Site) -> None:
    expected = {
        "": ["ETH", "BTC", "USDT"],
        "coin": ["BTC", "ETH", "USDT"],
        "free": ["BTC", "ETH", "USDT"],
        "frozen": ["BTC", "USDT", "ETH"],
        "withdrawing": ["ETH", "USDT", "BTC"],
    }[sort.removeprefix("-")]
    coins = page(site, sort=sort).texts("th")[5:]
    if sort.startswith("-"):
        assert coins[0] == expected[-1]
    else:
        assert coins == expected


@pytest.mark.parametrize("field", ["borrowed", "usd_value"])
def test_coins_of_a_unified_account_are_sorted_by_figures_that_others_lack(field: str, unified: Site) -> None:
    figures = {"A": None, "B": Decimal(2), "C": Decimal(-3), "D": Decimal(10)}
    balances = [replace(Balance(coin, Decimal(1), Decimal(0)), **{field: value}) for coin, value in figures.items()]
    unified.read_unified("main", *balances)
    assert [text for text in page(unified, sort=field).texts("th") if len(text) == 1] == ["C", "B", "D", "A"]
    assert [text for text in page(unified, sort=f"-{field}").texts("th") if len(text) == 1] == ["D", "B", "C", "A"]


def test_sorted_column_has_aria_sort(site: Site) -> None:
    headers = [th["aria-sort"] for th in page(site, sort="-frozen").attributes("th") if "aria-sort" in th]
    assert headers == ["none", "none", "descending", "none"]


@pytest.mark.parametrize(
    ("asked", "accounts", "coins"),
    [
        ("", 2, ["BTC", "ETH", "BTC"]),
        ("eth", 1, ["ETH"]),
        ("btc", 2, ["BTC", "BTC"]),
        ("Hot", 1, ["BTC", "ETH"]),
        ("normal", 2, ["BTC", "ETH", "BTC"]),
        ("spot", 2, ["BTC", "ETH", "BTC"]),
        ("orma", 0, []),
        ("nothing", 0, []),
    ],
)
def test_filter_by_name_state_type_or_coin_finds_accounts(asked: str, accounts: int, coins: list[str]) -> None:
    site = Site("hot", "cold")
    site.read("hot", {"BTC": "1", "ETH": "2"})
    site.read("cold", {"BTC": "3"})
    document = page(site, q=asked)
    assert len(document.texts("h2")) == accounts
    assert [text for text in document.texts("th") if text.isupper()] == coins
    assert document.texts("li")[0] == "2 accounts"


def numbered(count: int) -> Site:
    return Site(*(f"account-{number:04}" for number in range(count)))


def test_thousand_accounts_are_bounded_and_each_can_be_found() -> None:
    site = numbered(1000)
    for name in site.accounts:
        site.read(name, {f"COIN{number}": "1.5" for number in range(20)})
    site.fail("account-0700", FailureReason.NETWORK, "no route")
    document = page(site)
    full = math.ceil((MAX_ROWS - HEAD_ROWS) / (HEAD_ROWS + 20))
    assert document.texts("h2")[:2] == ["account-0700", "account-0000"]
    assert len(document.texts("h2")) == full
    assert len(document.texts("li")) == 4 + MAX_BRIEF
    assert f"{1000 - full - MAX_BRIEF} more accounts are not listed here. Filter to see them." in document.texts("p")
    assert page(site, q="account-0999").texts("h2") == ["account-0999"]


def test_brief_list_when_all_accounts_fail_is_open_with_the_reasons() -> None:
    site = numbered(300)
    for name in site.accounts:
        site.fail(name, FailureReason.NETWORK, "no route")
    document = page(site)
    assert "open" in document.attributes("details")[0]
    assert document.texts("li")[-1].startswith("Not current Not current account-0299 network, never read so far")


def test_account_with_too_many_coins_is_cut_and_says_so() -> None:
    site = Site("main", "other")
    site.read("main", {f"COIN{number}": str(number) for number in range(MAX_ROWS + 7)})
    document = page(site, sort="-free")
    assert document.texts("th")[5] == f"COIN{MAX_ROWS + 6}"
    hidden = 7 + 2 * HEAD_ROWS
    assert f"{hidden} more coins are not shown here. Filter by coin to see them." in document.texts("p")


def test_account_with_five_hundred_coins_has_all_of_them() -> None:
    site = Site("main")
    site.read("main", {f"COIN{number}": str(number) for number in range(500)})
    assert len(page(site).texts("th")) == 5 + 500


def test_pages_requested_at_once_are_rendered_one_by_one_and_do_not_delay_a_scrape(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, let_go = [], threading.Event()

    def slow(*_: object, **__: object) -> Page:
        begun.append(1)
        let_go.wait(20)
        return Page("", math.inf)

    monkeypatch.setattr("bybit_exporter.web.status_page.page.render", slow)
    with site, ThreadPoolExecutor() as visitors:
        visits = [visitors.submit(requests.get, f"{site.base_url}?q={n}", timeout=20) for n in range(3)]
        try:
            eventually(lambda: begun, 20)
            assert requests.get(site.base_url + "metrics", timeout=20).status_code == 200
            assert len(begun) == 1
        finally:
            let_go.set()
        assert [visit.result(20).status_code for visit in visits] == [200] * 3
        assert len(begun) == 3


# Prices, keys, subaccounts.


def set_prices(site: Site, **usd: str) -> None:
    site.apply(None, MarketPrices({coin: Decimal(price) for coin, price in usd.items()}, frozenset()), Resource.PRICES)


def test_value_with_prices_is_summed_and_names_coins_without_value(site: Site) -> None:
    assert page(site).texts("p", "total") == []
    assert "Value, USD" not in page(site).texts("th")
    set_prices(site, ETH="3000.5", USDT="0.9995")
    shown = section(site, "main")
    assert "7,501.25" in shown, "2.5 ETH"
    assert "≈ 8,500.75 USD without BTC" in shown
    assert "All wallets together ≈ 8,500.75 USD without BTC." in page(site).texts("p")
    site.clock.now += 179.0
    site.read("main", {"ETH": "-1"})
    assert f"≈ {MINUS}3,000.50 USD ·" in section(site, "main")
    site.clock.now += 1.0
    assert "USD" not in section(site, "main")


def test_total_without_some_accounts_says_how_many() -> None:
    """Or else half of the money seems to be gone when an account cannot be read."""
    site = Site("main", "other", "third")
    set_prices(site, ETH="3000")
    site.read("main", {"ETH": "1"})
    assert "All wallets together ≈ 3,000.00 USD, not counting 2 accounts without current figures." in page(site).texts(
        "p"
    )
    site.read("other", {"ETH": "1"})
    filtered = page(site, q="main").texts("p")
    assert "All wallets together ≈ 6,000.00 USD, not counting 1 account without current figures." in filtered
    site.read("third", {})
    assert "All wallets together ≈ 6,000.00 USD." in page(site).texts("p")


def test_total_without_prices_says_how_many_accounts_it_lacks() -> None:
    """The exchange states the value of a unified account. That of a spot account needs prices."""
    site = Site("spot")
    site.add("unified", AccountType.UNIFIED)
    site.read("spot", {"ETH": "100"})
    site.read_unified("unified", replace(make_balance("USDT", "1000", withdrawing=None), usd_value=Decimal(1000)))
    assert "All wallets together ≈ 1,000.00 USD, not counting 1 account without prices." in page(site).texts("p")


def test_resource_not_read_has_a_badge(site: Site) -> None:
    """Or else an account looks well while nobody can see its key or its subaccounts."""
    site.apply(None, make_failure(), Resource.PRICES)
    assert any("The prices cannot be read" in text for text in page(site).texts("p"))
    for resource in Resource:
        if resource not in (Resource.WALLET, Resource.PRICES, Resource.SUBACCOUNT_BALANCES):
            site.apply("main", make_failure(FailureReason.MALFORMED), resource)
    unread = [
        "Withdrawals not read",
        "Subaccounts not read",
        "Subaccounts' equity not read",
        "Products not read",
        "Held-back funds not read",
        "Key not read",
    ]
    assert page(site).texts("span", "badge")[:-1] == [*unread, "Normal"]
    site.fail("main", FailureReason.NETWORK, "no")
    assert page(site).texts("span", "badge")[:-1] == ["Reading fails", "Normal"]


def test_total_without_many_coins_names_three_and_counts_the_rest(site: Site) -> None:
    set_prices(site, X="1")
    site.read("main", {f"C{number}": "1" for number in range(5)} | {"NOTHING": "0"})
    assert "≈ 0 USD without C0, C1, C2 and 2 more" in section(site, "main")


@pytest.mark.parametrize(
    ("key", "left", "badge"),
    [
        (ApiKey(True, False, None), None, None),
        (ApiKey(True, False, None), 15 * 86_400.0, None),
        (ApiKey(True, False, None), 13.5 * 86_400.0, "Key expires in 13d"),
        (ApiKey(True, False, None), -1.0, "Key has expired"),
        (ApiKey(False, False, None), None, "Key can do more than read"),
        (ApiKey(False, False, None, can_withdraw=True), None, "Key may withdraw"),
    ],
)
def test_key_with_a_problem_has_a_badge(site: Site, key: ApiKey, left: float | None, badge: str | None) -> None:
    expiry = None if left is None else site.clock.now + left
    site.apply("main", dataclasses.replace(key, expiry_timestamp=expiry), Resource.API_KEY)
    assert page(site).texts("span", "badge")[:-1] == ([badge, "Normal"] if badge else ["Normal"])
    assert page(site).texts("li")[2] == f"{1 if badge else 0} warning"


def test_subaccounts_not_normal_are_named_and_counted(site: Site) -> None:
    normal = Subaccount("1", "one", SubaccountStatus.NORMAL, "1")
    site.apply("main", [normal], Resource.SUBACCOUNTS)
    assert "1 subaccount, all normal." in section(site, "main")
    frozen = Subaccount("2", "<script>", SubaccountStatus.FROZEN, "4")
    banned = Subaccount("3", "three", SubaccountStatus.LOGIN_BANNED, "2")
    site.apply("main", [normal, frozen, banned], Resource.SUBACCOUNTS)
    assert "3 subaccounts, of which <script> is frozen, three is login banned." in section(site, "main")
    assert page(site).texts("span", "badge")[0] == "2 subaccounts banned or frozen"
    assert page(site).texts("li")[1] == "1 critical"
    site.apply(
        "main", [Subaccount(str(n), f"s{n}", SubaccountStatus.UNKNOWN, "9") for n in range(30)], Resource.SUBACCOUNTS
    )
    assert "and 10 more are not normal." in section(site, "main")


def test_withdrawing_not_stated_is_a_dash_and_sorted_last(site: Site) -> None:
    site.read("main", {"A": "1 0 -", "B": "1 0 5", "C": "1 0 0"})
    rows = page(site, sort="-withdrawing").texts("tr")[1:]
    assert rows == ["B105", "C100", "A10\N{EN DASH}"]


# Unified accounts: margin, debts, products; subaccounts and funds held back.


def test_margin_stated_is_shown_with_a_meter(unified: Site) -> None:
    unified.read_unified("main", equity_usd="1234.567", available_balance_usd="-10", maintenance_margin_ratio="0.4237")
    document = page(unified)
    assert document.texts("dd") == [
        "1,234.57 USD",
        f"{MINUS}10.00 USD",
        "42.4% liquidation at 100%",
    ]
    meter = next(each for each in document.attributes("span") if each.get("role") == "meter")
    assert (meter["aria-valuemin"], meter["aria-valuenow"], meter["aria-valuemax"]) == ("0", "0.4237", "1")
    assert meter["aria-valuetext"] == "42.4% of 100%"
    assert [each["width"] for each in document.attributes("rect")] == ["100", "42.37"]


def test_margin_not_stated_is_a_dash_and_no_meter(unified: Site) -> None:
    unified.read_unified("main")
    document = page(unified)
    assert document.texts("dd") == [DASH] * 3
    assert not document.attributes("rect")


def test_margin_of_a_spot_account_is_not_shown(site: Site) -> None:
    assert page(site).texts("dd") == []


@pytest.mark.parametrize(
    ("ratio", "level", "limit", "width"),
    [
        ("0", "normal", "0% liquidation at 100%", "0.00"),
        ("0.5", "normal", "50.0% liquidation at 100%", "50.00"),
        ("0.501", "warning", "50.1% above 50%, liquidation at 100%", "50.10"),
        ("0.8", "warning", "80.0% above 50%, liquidation at 100%", "80.00"),
        ("0.801", "critical", "80.1% above 80%, liquidation at 100%", "80.10"),
        ("12", "critical", "1,200.0% above 80%, liquidation at 100%", "100.00"),
    ],
)
def test_margin_ratio_above_a_limit_is_said_in_words(
    ratio: str, level: str, limit: str, width: str, unified: Site
) -> None:
    unified.read_unified("main", maintenance_margin_ratio=ratio)
    document = page(unified)
    assert document.texts("span", "badge")[:-1] == ["Liquidation near"] * (level != "normal") + ["Normal"]
    assert document.texts("dd")[-1] == limit
    assert document.attributes("section")[0]["class"] == level
    assert [each["width"] for each in document.attributes("rect")] == ["100", width]


def test_margin_expired_has_neither_badge_nor_figures(unified: Site) -> None:
    unified.read_unified("main", maintenance_margin_ratio="0.9")
    unified.clock.now += STALE_AFTER_SECONDS
    document = page(unified)
    assert document.texts("dd") == []
    assert document.texts("span", "badge")[:-1] == ["Not current"]


def test_debts_have_a_minus_sign_and_a_class(unified: Site) -> None:
    debt = Balance("ETH", Decimal(-2), Decimal(0), usd_value=Decimal("-6001"), borrowed=Decimal("2.5"))
    unified.read_unified("main", debt, Balance("BTC", Decimal(1), Decimal(0)))
    document = page(unified)
    assert document.texts("td", "debt") == [f"{MINUS}2", f"{MINUS}2.5", f"{MINUS}6,001.00"]
    assert document.texts("td")[5:9] == ["1", "0", DASH, DASH], "borrowed and value are not stated"
    assert document.texts("th")[3] == "Borrowed"


def test_value_of_a_unified_wallet_is_what_the_exchange_states(unified: Site) -> None:
    set_prices(unified, BTC="1")
    unified.read_unified("main", Balance("BTC", Decimal(2), Decimal(0), usd_value=Decimal(140_000)))
    assert "≈ 140,000.00 USD" in section(unified, "main")
    unified.read_unified("main", Balance("BTC", Decimal(2), Decimal(0)))
    assert "Value, USD" not in section(unified, "main")


def test_products_are_grouped_with_the_value_of_each(unified: Site) -> None:
    unified.read_unified("main")
    coins = [
        ProductEquity("Earn", "Easy Earn", "USDT", Decimal("1E+5")),
        ProductEquity("CryptoLoans", "", "USDT", Decimal("-40000.50")),
        ProductEquity("Earn", "", "BTC", Decimal("0.5")),
        ProductEquity("Earn", "", "NOTHING", Decimal(0)),
        ProductEquity("<b>", "", "A", Decimal(1)),
    ]
    value = {"Earn": Decimal(135_000), "CryptoLoans": Decimal(-39_996), "Launchpool": Decimal("12.5")}
    unified.apply("main", Products(tuple(coins), value, None), Resource.PRODUCTS)
    document = page(unified)
    assert document.texts("tr")[1:] == [
        "EarnUSDT Easy Earn100,000135,000.00",
        "BTC0.5",
        f"CryptoLoansUSDT{MINUS}40,000.50{MINUS}39,996.00",
        f"<b>A1{DASH}",
        f"Launchpool{DASH}{DASH}12.50",
    ]
    assert page(unified, q="launch").texts("tbody") == [f"Launchpool{DASH}{DASH}12.50"]
    assert page(unified, q="btc").texts("tbody") == ["EarnUSDT Easy Earn100,000135,000.00 BTC0.5"]


def test_products_very_many_are_cut_and_say_so(unified: Site) -> None:
    unified.read_unified("main")
    many = MAX_GROUPS + 3
    coins = [ProductEquity("Earn", "", f"C{n}", Decimal(1)) for n in range(many)]
    coins += [ProductEquity(f"P{n}", "", "A", Decimal(1)) for n in range(many)]
    unified.apply("main", Products(tuple(coins), {}, None), Resource.PRODUCTS)
    document = page(unified)
    assert document.texts("th")[4] == "Earn 3 more coins"
    assert "4 more products are not shown here." in document.texts("p")
    assert len(document.texts("tr")) == 1 + MAX_GROUPS + MAX_GROUPS - 1


def test_subaccount_equity_known_in_part_has_dashes(site: Site) -> None:
    equities = [
        SubaccountEquity("1", "FUND", Decimal(10), "small"),
        SubaccountEquity("2", "FUND", Decimal(5), "large"),
        SubaccountEquity("2", "UNIFIED", Decimal("1234.5"), "large"),
        SubaccountEquity("2", "SPOT", Decimal(0), "large"),
    ]
    site.apply("main", equities, Resource.SUBACCOUNT_EQUITY)
    assert page(site).texts("tr")[-3:] == ["SubaccountFUND, USDUNIFIED, USD", "large5.001,234.50", f"small10.00{DASH}"]


def test_subaccount_equity_of_very_many_is_cut_and_says_so(site: Site) -> None:
    equities = [SubaccountEquity(str(n), "FUND", Decimal(n)) for n in range(MAX_GROUPS + 3)]
    site.apply("main", equities, Resource.SUBACCOUNT_EQUITY)
    document = page(site)
    assert "open" not in document.attributes("details")[0]
    assert "3 more subaccounts are not shown here." in document.texts("p")


def test_funds_held_back_have_a_badge_and_the_amount(site: Site) -> None:
    site.apply("main", Decimal(0), Resource.RISK_FROZEN)
    assert page(site).texts("span", "badge")[0] == "Normal"
    site.apply("main", Decimal(2500), Resource.RISK_FROZEN)
    assert page(site).texts("span", "badge")[0] == "Funds held back"
    assert "The exchange keeps 2,500.00 USD from being withdrawn because of risk." in page(site).texts("p")


def test_resources_that_expire_before_the_balances_end_the_validity_of_the_section(site: Site) -> None:
    site.clock.now += 100
    site.apply("main", Decimal(2500), Resource.RISK_FROZEN)
    site.clock.now += 150
    site.read("main", {"BTC": "1"})
    assert page(site).attributes("section")[0]["data-valid"] == "30.0"


def test_page_while_accounts_start_says_so_in_title_and_counts() -> None:
    site = Site("main", "other")
    document = page(site)
    assert document.texts("title") == [f"2 starting {DASH} Bybit exporter"]
    assert document.texts("li") == ["2 accounts", "0 critical", "0 warning", "2 starting", "0 normal"]
    assert "%23678" in str(document.attributes("link")[0]["href"])
    site.read("main", {})
    site.read("other", {})
    assert page(site).texts("title") == ["Bybit exporter"]
    assert page(site).texts("li") == ["2 accounts", "0 critical", "0 warning", "2 normal"]
