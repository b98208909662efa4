"""Takes the README's picture of the status page: ``python -m tests.browser.screenshot``.

The accounts are the demo's, put through an hour and a bit on a clock of their own.
"""

from __future__ import annotations

from bybit_exporter.bybit.errors import BANNED
from bybit_exporter.bybit.wallets import Spot, SpotAsset, SpotResult, spot_snapshot
from bybit_exporter.cli import DEMO_POLL_INTERVAL_SECONDS
from bybit_exporter.config import STALE_AFTER_INTERVALS
from bybit_exporter.model import PollResult
from bybit_exporter.sandbox import Account
from bybit_exporter.sandbox.demo import demo_exchange
from tests.browser.chromium import Chromium
from tests.browser.site import Site, at
from tests.exporter_process import ROOT

PICTURE = ROOT / "docs" / "images" / "status-page.png"
VIEWPORT = {"width": 1100, "height": 800}

SHOWN_SECONDS = 4020.0
"""By then the account that is banned now and then is."""


def demo_site() -> Site:
    """The demo after so long, had it been polled all the time."""
    stale_after = STALE_AFTER_INTERVALS * DEMO_POLL_INTERVAL_SECONDS
    names = ("trading", "treasury", "banned-now-and-then")
    site = Site(*names, demo=True, earlier=SHOWN_SECONDS, stale_after=stale_after)
    exchange = demo_exchange(site.clock)
    for _ in range(round(SHOWN_SECONDS / DEMO_POLL_INTERVAL_SECONDS)):
        site.clock.now += DEMO_POLL_INTERVAL_SECONDS
        for name in names:
            site.record(name, poll(exchange.accounts[name], site.clock.now))
    return site


def poll(account: Account, now: float) -> PollResult:
    assert account.behaviour
    account.behaviour(account, now)
    if account.refusal:
        return at(now, BANNED.reason, BANNED.advice)
    assets = [SpotAsset(coin, held.free, held.frozen, held.withdraw) for coin, held in account.holdings.items()]
    return at(now, spot_snapshot(SpotResult(Spot(account.status, assets)), None))


def main() -> None:
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    with Chromium() as browser:
        browser.open({})  # started by the time the clock of the site stands still
        take(browser)


def take(browser: Chromium) -> None:
    with demo_site() as site:
        browser.visit(site.base_url, VIEWPORT)
        browser.screenshot(str(PICTURE), True)


if __name__ == "__main__":
    main()
