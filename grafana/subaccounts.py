"""The subaccounts of master accounts: which are banned or frozen, and what they hold in their funding wallets."""

from __future__ import annotations

from .common import ACCOUNT, COIN, EXACT, READING, STATUS_COLORS, USD, worth
from .layout import Shelf
from .panels import AMBER, GREEN, GREY, RED, Column, Json, Look, Query, mapping, override, stat, table, thresholds

SUBACCOUNT = "account, subaccount"

NONE_READ = "No account reads subaccounts."
NO_BALANCES = "No account reads what its subaccounts hold."
NOT_IN_TOTAL = "It is not in the value of the accounts."

_STATUS = mapping({**STATUS_COLORS, 3: ("LOGIN BANNED", RED), 4: ("FROZEN", RED)})

# The worst of what is said; balances_up says nothing of the status, but that the subaccount is known.
_STATUS_CODE = (
    f"max by ({SUBACCOUNT}) (0 * bybit_subaccount_balances_up{{{ACCOUNT}}} "
    f'or bybit_subaccount_status{{{ACCOUNT}, status="normal"}} '
    f'or 2 * bybit_subaccount_status{{{ACCOUNT}, status="unknown"}} '
    f'or 3 * bybit_subaccount_status{{{ACCOUNT}, status="login_banned"}} '
    f'or 4 * bybit_subaccount_status{{{ACCOUNT}, status="frozen"}})'
)


def held() -> str:
    """Free and frozen together, one value for each subaccount and coin."""
    parts = f'{{__name__=~"bybit_subaccount_asset_(free|frozen)", {ACCOUNT}, {COIN}}}'
    return f"sum by ({SUBACCOUNT}, coin) (max by (__name__, {SUBACCOUNT}, coin) ({parts}))"


def usd(no_value: str) -> Json:
    """How values are shown in a table."""
    return {"unit": "locale", "decimals": 2, "noValue": no_value}


def of_coin(metric: str) -> str:
    """One value for each subaccount and coin."""
    return f"max by ({SUBACCOUNT}, coin) ({metric}{{{ACCOUNT}, {COIN}}})"


def counts() -> Json:
    """How many are in which state."""
    colors = {"normal": GREEN, "unknown": AMBER, "login_banned": RED, "frozen": RED}
    return stat(
        "Subaccounts by status",
        "How many the exchange states as normal, as login-banned, as frozen, or as something that is not documented.",
        [
            Query(
                f"sum by (status) (max by ({SUBACCOUNT}, status) (bybit_subaccount_status{{{ACCOUNT}}}))", "{{status}}"
            )
        ],
        Look(decimals=0, steps=[(GREY, None)], no_value=NONE_READ),
        text="value_and_name",
        overrides=[
            override(status, {"thresholds": thresholds((GREY, None), (color, 1))}) for status, color in colors.items()
        ],
    )


def value_now() -> Json:
    """All of them together."""
    return stat(
        "Value of subaccounts",
        f"What they hold in their funding wallets, in USD at the prices of now. {NOT_IN_TOTAL}",
        [Query(f"sum ({worth(held())})")],
        Look(unit="currencyUSD", decimals=2, steps=USD, no_value=NO_BALANCES),
        text="value",
    )


def subaccounts() -> Json:
    """A row for each, those first that are not normal."""
    colored: Json = {"custom.cellOptions": {"type": "color-background"}}
    return table(
        "Subaccounts",
        "Those first that are not normal. “No answer”: the list has not been read for three minutes. “Read” is the "
        "latest reading of the balances.",
        [
            Column("Status", _STATUS_CODE, colored | {"mappings": [_STATUS]}),
            Column("USD", f"sum by ({SUBACCOUNT}) ({worth(held())})", usd("-")),
            Column(
                "Read",
                f"max by ({SUBACCOUNT}) (bybit_subaccount_balances_up{{{ACCOUNT}}})",
                {"mappings": [READING], "custom.cellOptions": {"type": "color-text"}, "noValue": "-"},
            ),
        ],
        {"account": "Account", "subaccount": "Subaccount"},
        Look(no_value=NONE_READ),
        sort_by="Status",
    )


def balances() -> Json:
    """A row for each coin of each."""
    return table(
        "Balances of subaccounts",
        "In their funding wallets, in units of the coin, every digit as the exchange states it; and in USD.",
        [
            Column("Free", of_coin("bybit_subaccount_asset_free"), EXACT),
            Column("Frozen", of_coin("bybit_subaccount_asset_frozen"), EXACT),
            Column("USD", worth(held()), usd("no price")),
        ],
        {"account": "Account", "subaccount": "Subaccount", "coin": "Coin"},
        Look(no_value=NO_BALANCES),
        sort_by="USD",
    )


SHELVES = [Shelf(8, [(4, counts()), (4, value_now()), (7, subaccounts()), (9, balances())])]
