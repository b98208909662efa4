"""The status page as a document: what is on it in which state, and that texts from outside stay texts."""

from __future__ import annotations

import itertools
import math
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from html.parser import HTMLParser

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from bybit_exporter.model import (
    AccountStatus,
    ApiKey,
    FailureReason,
    MarketPrices,
    Resource,
    Subaccount,
    SubaccountStatus,
)
from bybit_exporter.sharding import Shard
from bybit_exporter.web.status_page.formatting import MAX_SHOWN_CHARACTERS, ago, ahead, visible
from bybit_exporter.web.status_page.page import HEAD_ROWS, MAX_BRIEF, MAX_ROWS, render
from bybit_exporter.web.status_page.query import SORTS, Query
from bybit_exporter.web.status_page.sparkline import HEIGHT, WIDTH, sparkline
from tests.browser.site import STALE_AFTER_SECONDS, Site, every_state
from tests.builders import make_failure
from tests.support import eventually

VOID = {"meta", "link", "input", "use", "path", "circle", "br"}


class Document(HTMLParser):
    """The elements of a page, each with its attributes and all the text within. Fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[tuple[str, list[str]]] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        texts: list[str] = []
        self.found.append((tag, dict(attrs), texts))
        if tag not in VOID:
            self._open.append((tag, texts))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for _, texts in self._open:
            texts.append(data)

    def texts(self, tag: str, css_class: str = "") -> list[str]:
        return [
            " ".join("".join(texts).split())
            for name, attributes, texts in self.found
            if name == tag and css_class in (attributes.get("class") or "")
        ]

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.found if name == tag]


def page(site: Site, demo: bool = False, **parameters: str) -> Document:
    return Document(render(site.store, parameters, demo=demo, now=site.clock)[0])


def section(site: Site, name: str) -> str:
    """The text of an account's part."""
    return next(text for text in page(site).texts("section") if text.startswith(name))


@pytest.fixture
def site() -> Site:
    site = Site("main")
    site.read("main", {"ETH": "2 0.5", "BTC": "1.000000000000000000000000000000000001 0 3", "USDT": "1E+3 0 0"})
    return site


def test_amounts_stand_there_to_the_last_digit(site: Site) -> None:
    assert page(site).texts("td")[4:7] == ["1.000000000000000000000000000000000001", "0", "3"]
    assert page(site).texts("td")[8] == "1000"


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("main", ["Normal"]),
        ("banned", ["Banned"]),
        ("refused", ["Banned"]),
        ("flaky", ["Reading fails", "Normal"]),
        ("stale", ["Not current"]),
        ("odd", ["Unknown status"]),
        ("new", ["Not read yet"]),
    ],
)
def test_each_state_is_said_in_words(state: str, says: list[str]) -> None:
    assert section(every_state(), state).startswith(" ".join([state, *says, "Not current SPOT ·"]))


def test_a_ban_stays_in_sight_when_reading_fails_for_another_reason() -> None:
    site = Site("main")
    site.read("main", {}, AccountStatus.BANNED)
    site.fail("main", FailureReason.TIMEOUT, "no answer")
    assert section(site, "main").startswith("main Banned Reading fails")


def test_the_worst_is_on_top_and_counted() -> None:
    document = page(every_state())
    names = ["banned", "refused", "flaky", "stale", "odd", "new", "main", "<script>alert('account')</script>"]
    assert document.texts("h2") == names
    assert document.texts("li") == ["8 accounts", "2 banned or frozen", "4 need attention", "2 normal"]
    assert document.texts("title") == ["2 banned or frozen \N{EN DASH} Bybit exporter"]


def test_the_reason_is_given_in_words_with_what_to_do() -> None:
    assert "timeout no answer within 10s; the exchange or the network is slow" in section(every_state(), "flaky")
    assert "contact its support" in section(every_state(), "banned")
    assert "contact its support" in section(every_state(), "refused")


def test_when_an_account_was_read_and_is_next(site: Site) -> None:
    site.clock.now += 12
    assert "read 12s ago · next in 18s" in section(site, "main")
    site.clock.now += 20
    assert "read 32s ago · next now" in section(site, "main")


def test_expired_figures_are_not_on_the_page(site: Site) -> None:
    site.clock.now += STALE_AFTER_SECONDS - 0.001
    assert page(site).texts("td")
    site.clock.now += 0.001
    document = page(site)
    assert not document.texts("td")
    assert "No current figures." in section(site, "main")
    assert "expired, since no poll has ended" in section(site, "main")


def test_the_page_says_how_long_its_figures_hold(site: Site) -> None:
    site.clock.now += 12
    assert page(site).attributes("section")[0]["data-valid"] == f"{STALE_AFTER_SECONDS - 12:.1f}"


def test_the_demo_says_that_its_figures_are_invented(site: Site) -> None:
    assert any("every figure on this page is invented" in text for text in page(site, demo=True).texts("p"))
    assert not any("invented" in text for text in page(site).texts("p"))


def test_a_shard_is_named_with_its_number() -> None:
    text, _ = render(Site().store, {}, shard=Shard(1, 4))
    assert Document(text).texts("span")[0] == "Shard 1 of 4"
    assert Document(text).texts("p", "more")[0] == "No account falls to this shard."
    alone, _ = render(Site().store, {})
    assert "hard" not in "".join(Document(alone).texts("body"))


def test_links(site: Site) -> None:
    text, _ = render(site.store, {}, telemetry_path="/other")
    links = [attributes["href"] for attributes in Document(text).attributes("a")]
    assert links[-4:] == ["/other", "/-/healthy", "/-/ready", "/-/documentation"]


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}&amp;\u202e\u200b\x00"


def test_whatever_an_account_or_a_coin_is_called_it_is_text() -> None:
    plain, hostile = Site("main"), Site(HOSTILE)
    for site, name in ((plain, "main"), (hostile, HOSTILE)):
        site.read(name, {name: "1"})
        site.fail(name, FailureReason.API, name)
    shown = visible(HOSTILE)
    document = page(hostile, q="<script>")
    assert document.texts("h2") == document.texts("th")[5:] == [shown]
    assert [tag for tag, _, _ in document.found] == [tag for tag, _, _ in page(plain, q="m").found]


@given(st.text(min_size=1), st.text(), st.text())
def test_no_text_changes_the_structure(name: str, message: str, asked: str) -> None:
    site = Site(name)
    site.read(name, {name: "1"})
    site.fail(name, FailureReason.API, message + "!")
    text, _ = render(site.store, {"q": asked, "sort": asked})
    text.encode()
    tags = [tag for tag, _, _ in Document(text).found]
    assert tags.count("script") == tags.count("main") == 1
    assert not set(tags) & {"img", "iframe", "object"}


def test_texts_from_outside_are_made_readable() -> None:
    assert visible("a\u202eb\u200bc\x00d\ud800") == "a�b�c�d�"
    assert visible("é ع 漢") == "é ع 漢"
    assert len(visible("x" * 10_000)) == MAX_SHOWN_CHARACTERS


def test_there_is_nothing_inline_but_what_the_policy_names(site: Site) -> None:
    text, policy = render(site.store, {})
    assert not re.search(r"<[^>]+\s(on\w+|style)\s*=", text)
    assert "unsafe" not in policy
    assert "http" not in policy
    assert re.findall(r'(?:src|href)="(?!/|#|\?|data:)[^"]*"', text) == []


@pytest.mark.parametrize("sort", SORTS)
def test_coins_in_every_order(sort: str, site: Site) -> None:
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


def test_a_column_s_link_sorts_by_it_and_then_the_other_way_and_keeps_the_filter() -> None:
    assert Query("a b").resorted("free") == "/?q=a+b&sort=-free"
    assert Query("a b", "-free").resorted("free") == "/?q=a+b&sort=free"
    assert Query("", "coin").resorted("coin") == "/?sort=-coin"


def test_how_a_column_is_sorted_is_said(site: Site) -> None:
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
def test_the_filter_finds_accounts_by_their_words_and_coins(asked: str, accounts: int, coins: list[str]) -> None:
    site = Site("hot", "cold")
    site.read("hot", {"BTC": "1", "ETH": "2"})
    site.read("cold", {"BTC": "3"})
    document = page(site, q=asked)
    assert len(document.texts("h2")) == accounts
    assert [text for text in document.texts("th") if text.isupper()] == coins
    assert document.texts("li")[0] == "2 accounts"


def test_nonsense_in_the_address_counts_as_not_given(site: Site) -> None:
    assert Query.of({"sort": "__class__", "q": " " + "x" * 500}) == Query("x" * 200)


def numbered(count: int) -> Site:
    return Site(*(f"account-{number:04}" for number in range(count)))


def test_a_thousand_accounts_are_bounded_and_any_can_be_found() -> None:
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


def test_when_all_fail_the_rest_is_listed_openly_with_the_reason() -> None:
    site = numbered(300)
    for name in site.accounts:
        site.fail(name, FailureReason.NETWORK, "no route")
    document = page(site)
    assert "open" in document.attributes("details")[0]
    assert document.texts("li")[-1].startswith("Not current Not current account-0299 network, never read so far")


def test_one_account_with_very_many_coins_is_cut_and_says_so() -> None:
    site = Site("main", "other")
    site.read("main", {f"COIN{number}": str(number) for number in range(MAX_ROWS + 7)})
    document = page(site, sort="-free")
    assert document.texts("th")[5] == f"COIN{MAX_ROWS + 6}"
    hidden = 7 + 2 * HEAD_ROWS
    assert f"{hidden} more coins are not shown here. Filter by coin to see them." in document.texts("p")


def test_five_hundred_coins_are_all_there() -> None:
    site = Site("main")
    site.read("main", {f"COIN{number}": str(number) for number in range(500)})
    assert len(page(site).texts("th")) == 5 + 500


def test_one_page_is_rendered_at_a_time_and_a_scrape_does_not_wait_for_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, let_go = [], threading.Event()

    def slow(*_: object, **__: object) -> tuple[str, str]:
        begun.append(1)
        let_go.wait(20)
        return "", ""

    monkeypatch.setattr("bybit_exporter.web.status_page.page.render", slow)
    with site, ThreadPoolExecutor() as visitors:
        visits = [visitors.submit(requests.get, site.base_url, timeout=20) for _ in range(3)]
        try:
            eventually(lambda: begun, 20)
            assert requests.get(site.base_url + "metrics", timeout=20).status_code == 200
            assert len(begun) == 1
        finally:
            let_go.set()
        assert [visit.result(20).status_code for visit in visits] == [200] * 3
        assert len(begun) == 3


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.9, "just now"), (59.9, "59s ago"), (61, "1m1s ago"), (7384, "2h3m ago"), (3e5, "3d11h ago")],
)
def test_how_long_ago(seconds: float, words: str) -> None:
    assert ago(seconds) == words


def test_what_is_due_is_now() -> None:
    assert [ahead(-5), ahead(0.5), ahead(300)] == ["now", "now", "in 5m"]


def pens(path: str) -> list[tuple[float, float]]:
    """The stretches, from x to x, that a path draws."""
    stretches = []
    for part in path.split("M")[1:]:
        xs = [float(x) for x in re.findall(r"(?:^|H)(-?[\d.e+]+)", part)]
        stretches.append((xs[0], xs[-1]))
    return stretches


def test_a_gap_in_the_points_is_a_gap_in_the_line() -> None:
    line = sparkline([math.nan, 1, 2, math.nan, math.nan, 2])
    assert line
    assert pens(line.path) == [(20, 60), (100, 120)]
    assert line.description == "total in the last hour: lowest 1, highest 2, known for 3 of 6 minutes"


def test_a_trifle_is_drawn_as_one() -> None:
    """0.01 % of the amount moves the line by less than a pixel, 1 % over its whole height."""
    slight, clear = sparkline([100, 100.01]), sparkline([99, 100])
    assert slight
    assert clear
    assert slight.path == "M0 12.1H60V11.9H120"
    assert clear.path == "M0 22H60V2H120"


@pytest.mark.parametrize(
    ("points", "change"),
    [
        ([1, 1], "±0%"),
        ([100, 101], "+1.00%"),
        ([4, 3], "\N{MINUS SIGN}25.00%"),
        ([1, 100], "+>999%"),
        ([0, 1], ""),
        ([1], ""),
    ],
)
def test_the_change_in_words(points: list[float], change: str) -> None:
    line = sparkline(points)
    assert line
    assert line.change == change


def test_nothing_known_is_no_line() -> None:
    assert sparkline([math.nan] * 60) is None


amounts = st.one_of(st.just(math.nan), st.just(math.inf), st.floats(-1.7e308, 1.7e308))


@given(st.lists(amounts, min_size=1, max_size=60))
def test_every_line_stays_in_its_box(points: list[float]) -> None:
    line = sparkline(points)
    if line:
        assert "nan" not in line.path
        assert "inf" not in line.path
        ys = [float(y) for y in itertools.chain(*re.findall(r"M[\d.e-]+ ([\d.e-]+)|V([\d.e-]+)", line.path)) if y]
        assert all(0 <= y <= HEIGHT for y in ys)
        assert all(0 <= start < end <= WIDTH + 0.01 for start, end in pens(line.path))


# What is read beside the polls.


def set_prices(site: Site, **usd: str) -> None:
    site.apply(None, MarketPrices({coin: Decimal(price) for coin, price in usd.items()}, frozenset()), Resource.PRICES)


def test_what_it_is_worth_and_which_coins_are_missing_in_that(site: Site) -> None:
    assert page(site).texts("p", "worth") == []
    assert "Worth, USD" not in page(site).texts("th")
    set_prices(site, ETH="3000.5", USDT="0.9995")
    shown = section(site, "main")
    assert "7,501.25" in shown, "2.5 ETH"
    assert "≈ 8,500.75 USD without BTC" in shown
    assert "All together ≈ 8,500.75 USD without BTC" in page(site).texts("p")
    site.clock.now += 179.0
    site.read("main", {"ETH": "-1"})
    assert "≈ -3,000.50 USD ·" in section(site, "main")
    site.clock.now += 1.0
    assert "USD" not in section(site, "main")


def test_a_total_says_that_accounts_are_missing_in_it() -> None:
    """Or else half of the money seems to be gone when an account cannot be read."""
    site = Site("main", "other", "third")
    set_prices(site, ETH="3000")
    site.read("main", {"ETH": "1"})
    assert "All together ≈ 3,000.00 USD, not counting 2 accounts without current figures" in page(site).texts("p")
    site.read("other", {"ETH": "1"})
    filtered = page(site, q="main").texts("p")
    assert "All together ≈ 6,000.00 USD, not counting 1 account without current figures" in filtered
    site.read("third", {})
    assert "All together ≈ 6,000.00 USD" in page(site).texts("p")


def test_what_is_not_read_beside_the_balances_is_said(site: Site) -> None:
    """Or else an account looks well while nobody can see its key or its subaccounts."""
    site.apply(None, make_failure(), Resource.PRICES)
    assert any("the prices cannot be read" in text for text in page(site).texts("p"))
    for shelf in (Resource.API_KEY, Resource.SUBACCOUNTS):
        site.apply("main", make_failure(), shelf)
    site.apply("main", make_failure(), Resource.WITHDRAWALS)
    unread = ["Withdrawals not read", "Subaccounts not read", "Key not read"]
    assert page(site).texts("span", "badge")[:-1] == [*unread, "Normal"]
    site.fail("main", FailureReason.NETWORK, "no")
    assert page(site).texts("span", "badge")[:-1] == ["Reading fails", "Normal"]


def test_a_total_names_no_more_than_a_few_of_the_coins_it_misses(site: Site) -> None:
    set_prices(site, X="1")
    site.read("main", {f"C{number}": "1" for number in range(5)} | {"NOTHING": "0"})
    assert "≈ 0.00 USD without C0, C1, C2 and 2 more" in section(site, "main")


@pytest.mark.parametrize(
    ("read_only", "left", "badge"),
    [
        (True, None, None),
        (True, 15 * 86_400.0, None),
        (True, 13.5 * 86_400.0, "Key expires in 13d"),
        (True, -1.0, "Key has expired"),
        (False, None, "Key can do more than read"),
    ],
)
def test_what_is_wrong_with_a_key(site: Site, read_only: bool, left: float | None, badge: str | None) -> None:
    site.apply("main", ApiKey(read_only, False, None if left is None else site.clock.now + left), Resource.API_KEY)
    assert page(site).texts("span", "badge")[:-1] == ([badge, "Normal"] if badge else ["Normal"])
    assert page(site).texts("li")[2] == f"{1 if badge else 0} need attention"


def test_subaccounts(site: Site) -> None:
    normal = Subaccount("1", "one", SubaccountStatus.NORMAL, "1")
    site.apply("main", [normal], Resource.SUBACCOUNTS)
    assert "1 subaccount, all normal." in section(site, "main")
    frozen = Subaccount("2", "<script>", SubaccountStatus.FROZEN, "4")
    banned = Subaccount("3", "three", SubaccountStatus.LOGIN_BANNED, "2")
    site.apply("main", [normal, frozen, banned], Resource.SUBACCOUNTS)
    assert "3 subaccounts, of which <script> is frozen, three is login banned." in section(site, "main")
    assert page(site).texts("span", "badge")[0] == "2 subaccounts banned or frozen"
    assert page(site).texts("li")[1] == "1 banned or frozen"
    site.apply(
        "main", [Subaccount(str(n), f"s{n}", SubaccountStatus.UNKNOWN, "9") for n in range(30)], Resource.SUBACCOUNTS
    )
    assert "and 10 more are not normal." in section(site, "main")


def test_a_wallet_without_withdrawals_has_none_and_they_sort_last(site: Site) -> None:
    site.read("main", {"A": "1 0 -", "B": "1 0 5", "C": "1 0 0"})
    rows = page(site, sort="-withdrawing").texts("tr")[1:]
    assert rows == ["B105", "C100", "A10\N{EN DASH}"]
