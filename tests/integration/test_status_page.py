"""The status page in a real Chromium: what it looks like to eyes and screen readers, and that it stays current."""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from bybit_exporter.model import AccountStatus, FailureReason, MarketPrices, Resource
from bybit_exporter.sandbox import Exchange, Holding, SandboxServer
from bybit_exporter.web.status_page import page, view
from bybit_exporter.web.status_page.page_cache import Page
from tests.browser.chromium import DESKTOP, PHONE, Chromium
from tests.browser.site import STALE_AFTER_SECONDS, Site, every_state
from tests.exporter_process import ExporterProcess, config_for

FAST_SECONDS = 0.3
"""Between refreshes, so that tests need not wait."""

LOST = "!document.getElementById('lost').hidden"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium() as browser:
        yield browser


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(page, "REFRESH_SECONDS", 1.0)
    with every_state() as site:
        yield site


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """One account whose page is refreshed very often."""
    monkeypatch.setattr(page, "REFRESH_SECONDS", FAST_SECONDS)
    site = Site("main")
    site.read("main", {"BTC": "1", "ETH": "2", "SOL": "3"})
    with site:
        yield site


def coins(browser: Chromium) -> list[str]:
    found: list[str] = browser.evaluate("[...document.querySelectorAll('tbody th')].map(th => th.innerText)")
    return found


def refreshed(browser: Chromium) -> None:
    """Returns after two more answers: the second was asked for after this call."""
    browser.evaluate("window.before = performance.getEntriesByType('resource').length")
    browser.until("performance.getEntriesByType('resource').length >= window.before + 2")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_page_with_every_state_is_accessible_quiet_and_fits(
    viewport: dict[str, int], dark: bool, browser: Chromium, states: Site
) -> None:
    browser.visit(states.base_url, viewport, dark=dark)
    assert browser.axe() == []
    assert browser.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    seen = browser.seen()
    assert seen["complaints"] == []
    assert all(url.startswith(states.base_url) for url in seen["requests"])
    states.stop()
    browser.until(LOST)
    assert browser.axe() == []


def test_counts_of_many_accounts_on_a_phone_are_on_one_line_each(browser: Chromium) -> None:
    names = [f"account {number}" for number in range(2000)]
    site = Site(*names)
    for name in names:
        site.read(name, {"BTC": "1"})
    with site:
        browser.visit(site.base_url, PHONE)
        look = "[...document.querySelectorAll('#counts strong')].map(strong => [strong.innerText, strong.clientHeight])"
        counts, heights = zip(*browser.evaluate(look), strict=True)
        assert counts == ("2000", "0", "0", "2000")
        assert len(set(heights)) == 1
        assert browser.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_states_differ_in_word_shape_and_colour(dark: bool, browser: Chromium, states: Site) -> None:
    browser.visit(states.base_url, dark=dark)
    look = """[...document.querySelectorAll('section > header')].map(header => {
        const badge = header.querySelector('.badge'), style = getComputedStyle(badge);
        return [badge.innerText, badge.querySelector('use').getAttribute('href'), style.backgroundColor];
    })"""
    looks = {tuple(found) for found in browser.evaluate(look)}
    hues = {words: hue(colour) for words, _, colour in looks}
    assert {shape for _, shape, _ in looks} == {"#icon-critical", "#icon-warning", "#icon-starting", "#icon-normal"}
    assert len({(words, shape) for words, shape, _ in looks}) == len(looks) == 9
    assert (hues["Banned"], hues["Not current"], hues["Normal"]) == ("red", "amber", "green")
    assert hues["Starting"] == "other"
    assert hues["Unknown status"] == hues["Reading fails"] == "amber"


def hue(colour: str) -> str:
    red, green, blue = (int(part) for part in re.findall(r"\d+", colour)[:3])
    if max(red, green, blue) - min(red, green, blue) < 15:
        return "other"
    if green > max(red, blue):
        return "green"
    return "red" if red > 2 * green else "amber" if red >= green > blue else "other"


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_accessibility_tree_has_headings_tables_meters_and_controls(
    viewport: dict[str, int], browser: Chromium, states: Site
) -> None:
    browser.visit(states.base_url, viewport)
    tree = browser.tree("body")
    for part in (
        '- heading "Bybit exporter" [level=1]',
        '- searchbox "Filter"',
        '- combobox "Sort coins"',
        '- region "main"',
        '- heading "main" [level=2]',
        '- table "Balances of main"',
        '- rowheader "ETH"',
        "11.534850000000000001",
        '- meter "Maintenance margin ratio"',
        '- table "Outside the wallets"',
        '- rowheader "CryptoLoans"',
        '- link "Metrics"',
    ):
        assert part in tree, tree


def test_line_of_some_minutes_has_a_description(browser: Chromium, site: Site) -> None:
    for amount in ("12.5", "12", "1250000"):
        site.clock.now += 60
        site.read("main", {"ETH": amount})
    browser.visit(site.base_url)
    assert 'img "total in the last hour: lowest 2, highest 1,250,000, known for 4 of 60 minutes"' in browser.tree(
        "body"
    )


def test_page_kept_by_the_exporter_withdraws_its_figures_in_time(
    browser: Chromium, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_age = Page.at_age
    monkeypatch.setattr(Page, "at_age", lambda page, _: at_age(page, STALE_AFTER_SECONDS + 1))
    browser.visit(site.base_url)
    browser.until("!document.querySelector('table').checkVisibility()")


def test_page_with_keyboard_alone_can_be_sorted(browser: Chromium, site: Site) -> None:
    browser.visit(site.base_url)
    browser.press("Tab", "Tab")
    assert browser.evaluate("document.activeElement.name") == "sort"
    browser.press("Tab", "Tab")
    assert browser.evaluate("document.activeElement.innerText") == "Free"
    browser.press("Enter")
    browser.until("document.querySelector('tbody th').innerText == 'SOL'")
    assert browser.evaluate("document.activeElement.innerText") == "Free"
    assert browser.evaluate("document.activeElement.matches(':focus-visible')")


def test_focus_when_an_account_moves_stays_on_it(browser: Chromium, site: Site) -> None:
    site.accounts |= Site("other").accounts
    site.store.replace_accounts(site.accounts.values())
    site.read("other", {"BTC": "1"})
    browser.visit(site.base_url)
    browser.evaluate("document.querySelectorAll('section')[1].querySelector('th a').focus()")
    site.read("other", {"BTC": "1"}, AccountStatus.BANNED)
    browser.until("document.querySelector('h2').innerText == 'other'")
    assert browser.evaluate("document.activeElement.closest('section').dataset.key") == "account:other"


def test_accounts_named_like_parts_of_the_page_hide_none_of_them(
    browser: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "REFRESH_SECONDS", FAST_SECONDS)
    monkeypatch.setattr(view, "MAX_ROWS", 5 * (view.HEAD_ROWS + 1) + 1)
    parts = ["total", "counts", "query", "brief", "demo"]
    site = Site(*parts, "zzz", demo=True)
    for name in (*parts, "zzz"):
        site.read(name, {"USDT": "1"})
    site.apply(None, MarketPrices({"USDT": Decimal(1)}, frozenset()), Resource.PRICES)
    children = "[...document.getElementById('main').children].map(part => part.id || part.querySelector('h2')?.id)"
    with site:
        browser.visit(site.base_url)
        before = browser.evaluate(children)
        refreshed(browser)
        assert set(parts) < set(before)
        assert browser.evaluate(children) == before


def test_refresh_with_new_figures_changes_nothing_else(browser: Chromium, site: Site) -> None:
    browser.visit(site.base_url, {"width": 800, "height": 300})
    browser.evaluate("window.mark = document.querySelector(`[data-key='coin:ETH']`)")
    browser.fill("input[name=q]", "main")
    browser.evaluate("document.querySelector('input[name=q]').setSelectionRange(1, 2)")
    browser.evaluate("getSelection().selectAllChildren(document.querySelector(`[data-key='coin:ETH'] th`))")
    browser.evaluate("scrollTo(0, 120)")
    refreshed(browser)
    selected = browser.evaluate("getSelection().toString()")
    site.read("main", {"BTC": "1.5", "SOL": "3", "ETH": "2"})
    browser.until("document.querySelector('td').innerText == '1.5'")
    assert coins(browser) == ["BTC", "SOL", "ETH"]
    assert browser.evaluate("document.querySelector(`[data-key='coin:ETH']`) === window.mark")
    assert browser.evaluate("getSelection().toString()") == selected == "ETH"
    assert browser.evaluate("scrollY") == 120


def test_filter_while_typing_is_applied_and_survives_refreshes(browser: Chromium, site: Site) -> None:
    browser.visit(site.base_url)
    browser.evaluate("window.mark = 1")
    browser.click("input[name=q]")
    browser.press("e", "t", "h")
    browser.until("document.querySelectorAll('tbody th').length == 1")
    browser.press("ArrowLeft")
    refreshed(browser)
    state = "[document.activeElement.name, document.activeElement.value, document.activeElement.selectionStart]"
    assert browser.evaluate(state) == ["q", "eth", 2]
    assert coins(browser) == ["ETH"]
    assert browser.evaluate("location.search") == "?q=eth"
    assert browser.evaluate("window.mark") == 1


def test_sort_survives_refreshes_and_is_in_the_address(browser: Chromium, site: Site) -> None:
    browser.visit(site.base_url)
    browser.select("select", "-coin")
    browser.until("document.querySelector('tbody th').innerText == 'SOL'")
    refreshed(browser)
    assert coins(browser) == ["SOL", "ETH", "BTC"]
    browser.visit(browser.evaluate("location.href"))
    assert coins(browser) == ["SOL", "ETH", "BTC"]
    assert browser.evaluate("document.querySelector('select').value") == "-coin"


def test_details_opened_stay_open(browser: Chromium, monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    monkeypatch.setattr(view, "MAX_ROWS", 5)
    site.accounts |= Site("other").accounts
    site.store.replace_accounts(site.accounts.values())
    site.read("other", {"BTC": "1"})
    browser.visit(site.base_url)
    assert not browser.evaluate("document.querySelector('details').open")
    browser.click("summary")
    refreshed(browser)
    assert browser.evaluate("document.querySelector('details').open")


def test_exporter_that_is_gone_is_announced_once(browser: Chromium, site: Site) -> None:
    """A screen reader reads each change of the words aloud."""
    browser.visit(site.base_url)
    site.stop()
    browser.until(LOST)
    browser.evaluate("""void new MutationObserver(() => document.body.dataset.said = "again")
        .observe(document.getElementById("lost"), { childList: true, characterData: true, subtree: true })""")
    browser.evaluate("window.started = performance.now()")
    browser.until(f"performance.now() > window.started + {12_000 * FAST_SECONDS}")
    assert browser.evaluate("document.body.dataset.said") is None


def test_figures_of_a_dead_exporter_are_marked_then_withdrawn_and_return_with_it(browser: Chromium, site: Site) -> None:
    site.clock.now += STALE_AFTER_SECONDS - 4
    browser.visit(site.base_url)
    site.stop()
    browser.until(LOST)
    assert browser.text("#lost").startswith(
        "Not current: the exporter does not answer. What this page shows is as of 2"
    )
    assert browser.evaluate("document.title").startswith("Not current")
    assert browser.evaluate("document.querySelector('table').checkVisibility()")
    browser.until("!document.querySelector('table').checkVisibility()")
    assert "These figures are no longer current." in browser.text("section")
    assert "Normal" not in browser.text("section")
    site.read("main", {"BTC": "7"})
    with site:
        browser.until(f"!({LOST}) && document.querySelector('td').innerText == '7'")
        assert browser.evaluate("document.querySelector('table').checkVisibility()")
        assert browser.evaluate("document.title") == "Bybit exporter"


def test_answer_that_is_not_the_page_marks_it(browser: Chromium, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    browser.visit(site.base_url)
    monkeypatch.setattr(page, "render", lambda *_, **__: Page("<title>Log in</title>", math.inf))
    browser.until(LOST)
    assert "something else does" in browser.text("#lost")
    monkeypatch.setattr(page, "render", lambda *_, **__: 1 / 0)
    browser.until("document.getElementById('lost').innerText.includes('answers with HTTP status 500')")


@pytest.mark.parametrize("told", [True, False], ids=["turned away from", "opened in the background"])
def test_hidden_tab_requests_nothing_until_it_is_seen(told: bool, browser: Chromium, site: Site) -> None:
    browser.visit(site.base_url)
    refreshed(browser)
    turn = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    tell = "document.dispatchEvent(new Event('visibilitychange'))"
    browser.evaluate(turn % "true" + (tell if told else ""))
    asked = len(browser.seen()["requests"])
    browser.until(LOST)  # from 3 refreshes on, even unseen
    assert len(browser.seen()["requests"]) <= asked + (0 if told else 1)
    browser.evaluate(turn % "false" + tell)
    browser.until(f"!({LOST})")


def test_page_without_script_filters_and_refreshes(
    browser: Chromium, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.visit(site.base_url, PHONE, script=False)
    browser.fill("input[name=q]", "o")  # "SOL"
    browser.press("Enter")
    browser.until("location.search == '?q=o&sort='")
    assert coins(browser) == ["SOL"]
    assert browser.evaluate("document.querySelector('button').checkVisibility()")
    monkeypatch.setattr(page, "REFRESH_WITHOUT_SCRIPT_SECONDS", 1.0)
    browser.goto(f"{site.base_url}?q=o")
    site.read("main", {"BTC": "1", "SOL": "4"})
    browser.until("document.querySelector('td').innerText == '4'")
    assert coins(browser) == ["SOL"]


def test_names_with_markup_run_nothing(browser: Chromium, site: Site) -> None:
    site.read("main", {"<img src=/x onerror=alert(1)>": "1", "<script>document.title = 'owned'</script>": "2"})
    site.fail("main", FailureReason.API, "<svg onload=alert(1)>")
    browser.visit(f"{site.base_url}?q=%22%3E%3Csvg+onload=alert(1)%3E")
    assert "Nothing matches" in browser.text("main")
    browser.fill("input[name=q]", "")
    browser.until("document.querySelectorAll('tbody th').length == 2")
    assert browser.evaluate("document.title") == "1 warning \N{EN DASH} Bybit exporter"
    seen = browser.seen()
    assert seen["complaints"] == []
    assert not any(url.endswith("/x") for url in seen["requests"])


def test_page_of_the_real_exporter_shows_changes_and_its_end(browser: Chromium, tmp_path: Path) -> None:
    exchange = Exchange()
    exchange.add_account("main", {"BTC": Holding("1.00000001", "0.5")})
    with (
        SandboxServer(exchange) as server,
        ExporterProcess(config_for(exchange, server.base_url), tmp_path) as exporter,
    ):
        exporter.wait_for(1.0, "bybit_up")
        assert exporter.get("/").headers["Content-Security-Policy"] == page.CONTENT_SECURITY_POLICY
        browser.visit(exporter.base_url + "/")
        assert "1.00000001" in browser.text("section")
        exchange.accounts["main"].update({"BTC": Holding("2.00000002")})
        browser.until("document.querySelector('td').innerText == '2.00000002'")
        assert browser.seen()["complaints"] == []
        assert browser.axe() == []
        exporter.send(signal.SIGKILL)
        browser.until(LOST)
        browser.until("!document.querySelector('table').checkVisibility()")
