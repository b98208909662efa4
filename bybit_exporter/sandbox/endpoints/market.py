"""Public endpoints: the time and the prices."""

from __future__ import annotations

from decimal import Decimal

from bybit_exporter.sandbox.endpoints import parameters
from bybit_exporter.sandbox.endpoints.routes import Answer, Query
from bybit_exporter.sandbox.exchange import Exchange
from bybit_exporter.sandbox.messages import Refusal
from bybit_exporter.sandbox.records import Ticker


def server_time(exchange: Exchange, _: Query) -> Answer:
    """https://bybit-exchange.github.io/docs/v5/market/time"""
    now = exchange.now_ms()
    return "OK", {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}


def tickers(exchange: Exchange, query: Query) -> Answer:
    """https://bybit-exchange.github.io/docs/v5/market/tickers: only the spot market has pairs."""
    category = parameters.one_of(query, "category", "spot", "linear", "inverse", "option")
    symbol = query.get("symbol", "")
    pairs = exchange.tickers.serve() if category == "spot" else {}
    if symbol and symbol not in pairs:
        raise Refusal(10001, "Not supported symbols")
    listed = [_pair(name, ticker) for name, ticker in pairs.items() if symbol in ("", name)]
    return "OK", {"category": category, "list": listed}


def _pair(symbol: str, ticker: Ticker) -> dict[str, str]:
    last = ticker.last_price
    before = ticker.day_before or last
    change = (Decimal(last) / Decimal(before) - 1).quantize(Decimal("0.0001")) if Decimal(before) else Decimal(0)
    return {
        "symbol": symbol,
        "bid1Price": ticker.bid or last,
        "bid1Size": "1",
        "ask1Price": ticker.ask or last,
        "ask1Size": "1",
        "lastPrice": last,
        "prevPrice24h": before,
        "price24hPcnt": format(change.normalize(), "f"),
        "highPrice24h": max(last, before, key=Decimal),
        "lowPrice24h": min(last, before, key=Decimal),
        "turnover24h": format(Decimal(ticker.volume) * Decimal(last), "f"),
        "volume24h": ticker.volume,
        "usdIndexPrice": ticker.usd_index_price,
    }
