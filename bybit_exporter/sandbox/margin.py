"""The account-wide figures of a unified account, computed from its coins.

Follows https://bybit-exchange.github.io/docs/v5/account/wallet-balance
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from bybit_exporter.sandbox.valuation import ZERO, Tickers, unified_rate, unified_usd, usd_price, usd_text
from bybit_exporter.sandbox.wallets import EXACT, UnifiedHolding, decimal, plus

MarginMode = Literal["REGULAR_MARGIN", "PORTFOLIO_MARGIN", "ISOLATED_MARGIN"]
"""Cross, portfolio and isolated margin, as ``/v5/account/info`` names them."""

#: What the exchange leaves empty in isolated margin.
NOT_IN_ISOLATED_MARGIN = (
    *("totalMarginBalance", "totalAvailableBalance", "totalInitialMargin", "totalMaintenanceMargin"),
    *("accountIMRate", "accountMMRate"),
    *("totalInitialMarginByMp", "totalMaintenanceMarginByMp", "accountIMRateByMp", "accountMMRateByMp"),
)

#: What the exchange leaves empty for each coin in portfolio margin.
NOT_IN_PORTFOLIO_MARGIN = ("totalOrderIM", "totalPositionIM", "totalPositionMM")

_FOUR_DECIMALS = Decimal("0.0001")


def account_totals(
    held: Mapping[str, UnifiedHolding], tickers: Tickers, mode: MarginMode, haircut_usd: str = "0"
) -> dict[str, str]:
    """The fields of the whole account, in USD; margin ratios as fractions of the margin balance."""
    rows = [(row, unified_rate(tickers, coin, row)) for coin, row in held.items()]
    equity = unified_usd(held, tickers)
    wallet = sum((EXACT.multiply(row.net_balance, rate) for row, rate in rows), ZERO)
    unrealised = sum((decimal(row.unrealised_pnl) * rate for row, rate in rows), ZERO)
    initial = sum(((decimal(row.order_im) + decimal(row.position_im)) * rate for row, rate in rows), ZERO)
    maintenance = sum((decimal(row.position_mm) * rate for row, rate in rows), ZERO)
    balance = wallet + unrealised
    available = (equity if mode == "PORTFOLIO_MARGIN" else balance) - decimal(haircut_usd) - initial
    margins = {
        "totalInitialMargin": usd_text(initial),
        "totalMaintenanceMargin": usd_text(maintenance),
        "accountIMRate": _ratio(initial, balance),
        "accountMMRate": _ratio(maintenance, balance),
    }
    fields = {
        "accountType": "UNIFIED",
        "totalEquity": usd_text(equity),
        "totalWalletBalance": usd_text(wallet),
        "totalMarginBalance": usd_text(balance),
        "totalAvailableBalance": usd_text(max(ZERO, available)),
        "totalPerpUPL": usd_text(unrealised),
        **margins,
        **{f"{name}ByMp": value for name, value in margins.items()},
        "accountLTV": "",
    }
    return fields | dict.fromkeys(NOT_IN_ISOLATED_MARGIN, "") if mode == "ISOLATED_MARGIN" else fields


def transferable(
    held: Mapping[str, UnifiedHolding], coin: str, tickers: Tickers, mode: MarginMode, haircut_usd: str = "0"
) -> str:
    """How much of a coin may leave a unified wallet: what is owned, not locked, and not needed as margin."""
    row = held.get(coin, UnifiedHolding())
    rest = plus(format(row.net_balance, "f"), -decimal(row.locked))
    if mode == "ISOLATED_MARGIN":
        tied_up = decimal(row.position_im) + decimal(row.order_im) + decimal(row.bonus)
        rest = plus(rest, -tied_up)
    else:
        price = usd_price(tickers, coin)
        available = decimal(account_totals(held, tickers, mode, haircut_usd)["totalAvailableBalance"])
        if price and EXACT.multiply(Decimal(rest), price) > available:
            rest = usd_text(EXACT.divide(available, price))
    return rest if Decimal(rest) > 0 else "0"


def _ratio(margin: Decimal, balance: Decimal) -> str:
    """A margin as a share of the margin balance; 1 where there is margin and no balance that covers it."""
    if not margin:
        return "0"
    if balance <= 0:
        return "1"
    return format(EXACT.divide(margin, balance).quantize(_FOUR_DECIMALS).normalize() + 0, "f")
