"""The documents in a real Chromium: what they look like to eyes and screen readers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.chromium import DESKTOP, PHONE, Chromium
from tests.browser.site import Site


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site("main") as site:
        yield site


@pytest.mark.parametrize("path", ["-/documentation", "-/runbooks", "-/documentation/security"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_document_is_accessible_and_fits_the_screen(
    browser: Chromium, site: Site, path: str, viewport: dict[str, int], dark: bool
) -> None:
    browser.visit(site.base_url + path, viewport, dark=dark)
    assert browser.axe() == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    seen = browser.seen()
    assert seen["complaints"] == []
    assert all(url.startswith(site.base_url) for url in seen["requests"]), "no other site is asked"


def test_runbook_address_of_an_alert_scrolls_to_its_heading(browser: Chromium, site: Site) -> None:
    browser.visit(site.base_url + "-/runbooks#bybitaccountbanned")
    assert browser.evaluate("document.querySelector(':target').innerText") == "BybitAccountBanned"
    assert 0 <= browser.evaluate("document.querySelector(':target').getBoundingClientRect().top") < 100


def test_link_of_the_readme_opens_another_document(browser: Chromium, site: Site) -> None:
    browser.visit(site.base_url + "-/documentation")
    browser.click("main a[href='/-/documentation/security']")
    browser.until("document.title.startsWith('Security')")
    assert browser.seen()["complaints"] == []
