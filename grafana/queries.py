"""The parts of PromQL that the panels share.

An account is what the labels of ``Settings.identity`` and ``account`` say, whichever exporter reports it. So every
query aggregates by them: of two exporters that poll the same account (a pair for availability, or an old and a new pod
during a rollout) the greater value counts, and nothing is counted twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from mixin.settings import Settings

ACCOUNT = 'account=~"$account"'
WALLET = 'account_type=~"$wallet"'
COIN = 'coin=~"$coin"'


@dataclass(frozen=True, slots=True)
class Queries:
    """Builds expressions for these settings."""

    settings: Settings

    def select(self, metric: str, *matchers: str) -> str:
        """The series of a metric, of the clusters, namespaces and jobs that are chosen."""
        scope = [f'{label}=~"${label}"' for label in self.settings.identity]
        own = [self.settings.selector] if self.settings.selector else []
        return f"{metric}{{{', '.join([*matchers, *scope, *own])}}}"

    def by(self, *labels: str) -> str:
        """A list of labels to group by: the identity, then these."""
        return ", ".join([*self.settings.identity, *labels])

    @property
    def by_account(self) -> str:
        return self.by("account", "account_type")

    @property
    def by_coin(self) -> str:
        return self.by("account", "account_type", "coin")

    def of_account(self, metric: str, *matchers: str) -> str:
        """One value for each account and wallet."""
        return f"max by ({self.by_account}) ({self.select(metric, ACCOUNT, WALLET, *matchers)})"

    def of_account_only(self, metric: str, worst: str = "max") -> str:
        """One value for each account, for metrics without ``account_type``. ``worst`` may be ``min``."""
        return f"{worst} by ({self.by('account')}) ({self.select(metric, ACCOUNT)})"

    def of_instance(self, metric: str) -> str:
        """One value for each exporter."""
        return f"max by ({self.by('instance')}) ({self.select(metric)})"

    def of_coin(self, metric: str, when: str = "") -> str:
        """One value for each account, wallet and coin."""
        return f"max by ({self.by_coin}) ({self.select(metric, ACCOUNT, WALLET, COIN)}{when})"

    def of_product(self, metric: str, *labels: str) -> str:
        """One value for each account and product, and for each of these labels."""
        chosen = [ACCOUNT, COIN] if "coin" in labels else [ACCOUNT]
        return f"max by ({self.by('account', 'product', *labels)}) ({self.select(metric, *chosen)})"

    def amount(self, when: str = "") -> str:
        """Free, frozen and withdrawing together, for each account, wallet and coin."""
        parts = self.select("", '__name__=~"bybit_asset_(free|frozen|withdrawing)"', ACCOUNT, WALLET, COIN)
        return f"sum by ({self.by_coin}) (max by (__name__, {self.by_coin}) ({parts}{when}))"

    def usd_value(self) -> str:
        """The value in USD, for each account, wallet and coin."""
        return self.of_coin("bybit_asset_usd_value")

    def price(self) -> str:
        """The price of each coin in USD."""
        return f"max by (coin) ({self.select('bybit_coin_price_usd', COIN)})"

    def in_usd(self, amounts: str) -> str:
        """These amounts of coins in USD. An amount without a price is left out."""
        return f"({amounts}) * on (coin) group_left () {self.price()}"

    def failures(self, window: str) -> str:
        """Failed polls within the window, for each account, wallet and reason."""
        failures = self.select("bybit_poll_failures_total", ACCOUNT, WALLET)
        return f"max by ({self.by('account', 'account_type', 'reason')}) (increase({failures}[{window}]))"

    def commonest_failure(self) -> str:
        """The most frequent reason of the last 15 minutes, for each account and wallet."""
        return f"topk by ({self.by_account}) (1, {self.failures('15m')}) > 0"

    def legend(self, text: str) -> str:
        """The name of a series, with its cluster and namespace where it has them."""
        return text + "".join(f" {{{{{label}}}}}" for label in self.settings.identity if label != "job")

    def columns(self, *, job: bool = False, **labels: str) -> dict[str, str]:
        """The labels and titles of a table's columns. The job is hidden unless asked for: most have only one."""
        identity = {label: label.capitalize() for label in self.settings.identity}
        if "job" in identity and not job:
            identity["job"] = ""
        account = {"account": labels.pop("account")}
        return account | identity | labels
