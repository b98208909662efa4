"""Properties of any input: an answer gives a snapshot or a `BybitError`, a file a `Config` or a `ConfigError`."""

from __future__ import annotations

import hashlib
import json
import math
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st
from msgspec.structs import astuple

from bybit_exporter import clock, config
from bybit_exporter.bybit.api_key import read_api_key
from bybit_exporter.bybit.client import Client
from bybit_exporter.bybit.errors import BybitError
from bybit_exporter.bybit.prices import read_prices
from bybit_exporter.bybit.products import read_products
from bybit_exporter.bybit.rate_limiter import RateLimiter
from bybit_exporter.bybit.risk_frozen import read_risk_frozen
from bybit_exporter.bybit.server_clock import ServerClock
from bybit_exporter.bybit.signing import sign
from bybit_exporter.bybit.subaccount_equity import read_subaccount_equity
from bybit_exporter.bybit.subaccounts import read_subaccount_balances, read_subaccounts
from bybit_exporter.bybit.transport import Response, Transport
from bybit_exporter.bybit.wallets import find_account_type, read_wallet
from bybit_exporter.bybit.wallets.spot import SpotResult
from bybit_exporter.bybit.withdrawals import read_withdrawals
from bybit_exporter.metrics.account_families import ACCOUNT_FAMILIES, render_account
from bybit_exporter.metrics.state import AccountState
from bybit_exporter.model import (
    Account,
    AccountSnapshot,
    AccountType,
    Balance,
    FailureReason,
    MarginSummary,
    MarketPrices,
    ProductEquity,
    Products,
    Secret,
    SubaccountEquity,
)
from bybit_exporter.polling.jobs.wallet import WalletJob
from bybit_exporter.sandbox import ASSET_INFO, UNLIMITED, Exchange, Request, handle
from tests.builders import make_result

KEY, SECRET = "CANARYKEY", "CANARYSECRET"
ACCOUNT = Account("main", AccountType.SPOT, None, Secret(KEY), Secret(SECRET), 1.0, 3.0)


class Canned(Transport):
    """Answers every request the same, and remembers the latest request."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.query = ""
        self.headers: Mapping[str, str] = {}

    def get(self, path: str, query: str, headers: Mapping[str, str]) -> Response:
        self.query, self.headers = query, headers
        return self.response


def client_on(transport: Transport) -> Client:
    return Client(transport, ServerClock(5.0), RateLimiter(1e9, sleep=lambda _: None), recv_window_seconds=5.0)


# An answer: its status, its headers, its body.

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)
amounts = (
    st.decimals(allow_nan=True, allow_infinity=True).map(str)
    | st.floats().map(repr)
    | st.integers(-(10**30), 10**30).map(str)
    | st.text(st.sampled_from("0123456789.eE+-_ \u0663"), max_size=12)
    | st.sampled_from(["", "1e-8", "0011.50", "1e999", "-0", "1e-999999999", "9" * 400, "0.1" + "0" * 400 + "1"])
)
assets = st.fixed_dictionaries(
    {
        "coin": st.sampled_from(["BTC", "ETH", "USDT", 'a"b\\c\nd', "ü"]) | st.text(max_size=5),
        "free": amounts,
        "frozen": amounts,
        "withdraw": amounts,
    }
)
spots = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["ACCOUNT_STATUS_NORMAL", "ACCOUNT_STATUS_UNSPECIFIED"]) | st.text(),
        "assets": st.lists(assets, max_size=4),
    }
)
messages = st.text() | st.none() | st.text(max_size=99).map(lambda text: text + KEY)
ret_codes = st.just(0) | st.sampled_from([10001, 10002, 10003, 10004, 10006, 10018, 10027, -1]) | st.integers()
envelopes = st.fixed_dictionaries(
    {"retCode": ret_codes, "result": st.fixed_dictionaries({"spot": spots})},
    optional={"retMsg": messages, "time": st.integers() | st.none(), "retExtInfo": anything},
)


@st.composite
def twisted(draw: st.DrawFn, honest: st.SearchStrategy[Any]) -> Any:
    """A valid envelope in which one value is replaced or removed."""
    envelope = draw(honest)
    place: Any = envelope
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return envelope
        key = draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or draw(st.booleans()):
            break
        place = place[key]
    if draw(st.booleans()):
        place[key] = draw(anything)
    else:
        del place[key]
    return envelope


@st.composite
def spliced(draw: st.DrawFn, texts: st.SearchStrategy[bytes]) -> bytes:
    """A text with a piece taken out and another put in."""
    text = draw(texts)
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 20)))
    return text[:start] + draw(st.binary(max_size=12) | st.just(text[start:end] * 2)) + text[end:]


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


bodies = (
    envelopes.map(encoded)
    | twisted(envelopes).map(encoded)
    | spliced(envelopes.map(encoded))
    | anything.map(encoded)
    | st.binary(max_size=300)
    | st.just(KEY.encode() * 30)
    | st.integers(1, 5000).map(lambda depth: b'{"retCode":0,"result":' + b"[" * depth)
)
numbers = st.integers().map(str) | st.text(max_size=30)
headers = st.fixed_dictionaries(
    {},
    optional={
        "X-Bapi-Limit": numbers,
        "X-Bapi-Limit-Status": numbers,
        "X-Bapi-Limit-Reset-Timestamp": numbers,
        "Retry-After": numbers | st.datetimes().map(lambda when: when.strftime("%a, %d %b %Y %H:%M:%S GMT")),
    },
)
statuses = st.just(200) | st.sampled_from([204, 302, 400, 401, 403, 404, 429, 500, 503]) | st.integers(200, 999)
responses = st.builds(lambda status, head, body: (status, head, body), statuses, headers, bodies)


def an_answer_gives_a_snapshot_or_a_bybit_error(answer: tuple[int, dict[str, str], bytes]) -> None:
    status, head, body = answer
    client = client_on(Canned(Response(status, head, body, clock.now())))
    try:
        reading = read_wallet(client, ACCOUNT, AccountType.SPOT)
    except BybitError as error:
        is_fit_for_a_log(error)
        waits_within_reason(error, client.clock.now())
    else:
        is_what_was_said(reading.result, body)
    assert abs(client.clock.now() - clock.wall()) < 10 or client.clock.offset_seconds is not None


def is_fit_for_a_log(error: BybitError) -> None:
    message = WalletJob(ACCOUNT).failure_of(error).message
    assert error.reason is not FailureReason.INTERNAL
    assert message.isprintable()
    assert len(message) < 600
    assert KEY not in message


def waits_within_reason(error: BybitError, now: float) -> None:
    assert 0 <= error.wait_seconds(now) <= 86_400


def is_what_was_said(snapshot: AccountSnapshot, body: bytes) -> None:
    """Compares the snapshot with what Python's own JSON reader finds."""
    text = body.decode(errors="replace")  # where nobody looks, in a key that is not known, it may be no UTF-8
    said = {asset["coin"]: asset for asset in json.loads(text)["result"]["spot"]["assets"]}
    assert [balance.coin for balance in snapshot.balances] == list(said)
    for balance in snapshot.balances:
        asset = said[balance.coin]
        for number, text in (
            (balance.free, asset["free"]),
            (balance.frozen, asset["frozen"]),
            (balance.withdrawing, asset["withdraw"]),
        ):
            assert number is not None
            assert math.isfinite(number)
            assert float(number) == float(Decimal(text or "0"))
    state = AccountState(ACCOUNT).with_result(make_result(ACCOUNT, snapshot), 0.0)
    lines = b"".join(render_account(ACCOUNT_FAMILIES, state)).splitlines()
    assert all(line.startswith(b"bybit_") and line.count(b"\n") == 0 for line in lines)


# The answers of the other wallets and of everything else that is read.

coins = st.sampled_from(["BTC", "ETH", "USDT"]) | st.text(max_size=4)
flags = st.integers(-1, 7)
UNIFIED_COIN = {"coin": coins, "walletBalance": amounts, "locked": amounts, "equity": amounts, "usdValue": amounts}
UNIFIED_OPTIONS = (
    *("spotBorrow", "bonus", "borrowAmount", "accruedInterest", "unrealisedPnl"),
    *("totalOrderIM", "totalPositionIM", "totalPositionMM"),
)
UNIFIED_TOTALS = {
    "totalEquity": "equity_usd",
    "totalWalletBalance": "wallet_balance_usd",
    "totalMarginBalance": "margin_balance_usd",
    "totalAvailableBalance": "available_balance_usd",
    "totalPerpUPL": "unrealised_pnl_usd",
    "totalInitialMargin": "initial_margin_usd",
    "totalMaintenanceMargin": "maintenance_margin_usd",
    "accountIMRate": "initial_margin_ratio",
    "accountMMRate": "maintenance_margin_ratio",
}
FUND_COIN = {"coin": coins, "walletBalance": amounts, "transferBalance": amounts}
WITHDRAWAL = {"coin": coins, "amount": amounts, "status": st.sampled_from(["Pending", "success"]) | st.text(max_size=4)}
MEMBER = {"uid": st.text(min_size=1, max_size=3), "username": st.text(max_size=3), "status": flags}
TICKER = {"symbol": st.builds(str.__add__, coins, coins), "lastPrice": amounts, "usdIndexPrice": amounts}


PRODUCT_COIN = {"coin": coins, "equity": amounts}
SUBACCOUNT_WALLET = {"type": st.sampled_from(["ACCOUNT_TYPE_FUND", "FUND"]), "origb": amounts, "stat": flags}


def rows(fields: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    return st.lists(st.fixed_dictionaries(dict(fields)), max_size=3)


def unified_wallets(numbers: st.SearchStrategy[str], names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Wallets of every margin mode, in which any field that may be absent or empty is."""
    options = numbers | st.just("")
    coin = st.fixed_dictionaries(
        {name: names if name == "coin" else options for name in UNIFIED_COIN},
        optional=dict.fromkeys(UNIFIED_OPTIONS, options),
    )
    listed = st.lists(coin, max_size=3, unique_by=lambda each: each["coin"])
    return st.fixed_dictionaries({"coin": listed}, optional=dict.fromkeys(UNIFIED_TOTALS, options))


OTHERS: Mapping[str, tuple[Callable[[Client], Any], Mapping[str, st.SearchStrategy[Any]]]] = {
    "unified": (
        lambda client: read_wallet(client, ACCOUNT, AccountType.UNIFIED),
        {"list": st.lists(unified_wallets(amounts, coins), max_size=2)},
    ),
    "fund": (lambda client: read_wallet(client, ACCOUNT, AccountType.FUND), {"balance": rows(FUND_COIN)}),
    "withdrawals": (
        lambda client: read_withdrawals(client, ACCOUNT),
        {"rows": rows(WITHDRAWAL), "nextPageCursor": st.just("") | st.text(max_size=2)},
    ),
    "key": (
        lambda client: read_api_key(client, ACCOUNT),
        {"readOnly": flags, "ips": st.lists(st.text(max_size=3)), "expiredAt": st.datetimes().map(str) | st.text()},
    ),
    "account info": (lambda client: find_account_type(client, ACCOUNT), {"unifiedMarginStatus": flags}),
    "subaccounts": (
        lambda client: read_subaccounts(client, ACCOUNT),
        {"subMembers": rows(MEMBER), "nextCursor": st.just("0") | st.text(max_size=2)},
    ),
    "balances of a subaccount": (
        lambda client: read_subaccount_balances(client, ACCOUNT, "1"),
        {"balance": rows(FUND_COIN)},
    ),
    "prices": (read_prices, {"list": rows(TICKER)}),
    "products": (
        lambda client: read_products(client, ACCOUNT),
        {
            "list": rows(
                {
                    "accountType": st.text(min_size=1, max_size=2),
                    "totalEquity": amounts,
                    "valuationCurrency": st.sampled_from(["USD", "EUR"]),
                    "snapshotTime": st.sampled_from(["1790000000000", "0", ""]),
                    "coinDetail": rows(PRODUCT_COIN),
                    "categories": rows({"category": st.text(max_size=2), "coinDetail": rows(PRODUCT_COIN)}),
                }
            )
        },
    ),
    "equity of subaccounts": (
        lambda client: read_subaccount_equity(client, ACCOUNT),
        {"list": rows({"uid": flags, "items": rows(SUBACCOUNT_WALLET)})},
    ),
    "risk-frozen amount": (lambda client: read_risk_frozen(client, ACCOUNT), {"limitAmountUsd": amounts}),
}


def other_answers(name: str) -> st.SearchStrategy[tuple[str, bytes]]:
    honest = st.fixed_dictionaries({"retCode": st.just(0), "result": st.fixed_dictionaries(dict(OTHERS[name][1]))})
    return st.tuples(st.just(name), (honest | twisted(honest)).map(encoded) | spliced(honest.map(encoded)))


others = st.sampled_from(list(OTHERS)).flatmap(other_answers)


def any_other_answer_gives_what_it_says_or_a_bybit_error(case: tuple[str, bytes]) -> None:
    name, body = case
    read, _ = OTHERS[name]
    try:
        answer = read(client_on(Canned(Response(200, {}, body, clock.now()))))
    except BybitError as error:
        is_fit_for_a_log(error)
        return
    for number in numbers_in(answer if isinstance(answer, AccountType) else answer.result):
        assert number.is_finite()
        assert math.isfinite(float(number))


def numbers_in(value: Any) -> Iterator[Decimal]:
    """Yields every amount in a result, at any depth."""
    if isinstance(value, Decimal):
        yield value
    elif isinstance(value, Mapping):
        yield from numbers_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from numbers_in(each)
    elif isinstance(value, AccountSnapshot):
        yield from numbers_in([value.balances, value.margin])
    elif isinstance(value, Balance | MarginSummary | MarketPrices | Products | ProductEquity | SubaccountEquity):
        yield from numbers_in(astuple(value))


# The unified wallet, compared with an independent reader that calculates with fractions.

plain_amounts = (
    st.just("0")
    | st.integers(-(10**30), 10**30).map(
        lambda units: f"{'-' * (units < 0)}{abs(units) // 10**18}.{abs(units) % 10**18:018}"
    )
    | st.sampled_from(["1e-8", "0011.50", "-0", "+1", ".5", "1e-999999999"])
)


def a_unified_wallet_is_shown_as_the_exchange_states_it(wallet: dict[str, Any]) -> None:
    body = encoded({"retCode": 0, "result": {"list": [wallet]}})
    client = client_on(Canned(Response(200, {}, body, clock.now())))
    snapshot = read_wallet(client, ACCOUNT, AccountType.UNIFIED).result
    for balance, coin in zip(snapshot.balances, wallet["coin"], strict=True):
        assert balance.coin == coin["coin"]
        owned = number(coin["walletBalance"]) - number(coin.get("spotBorrow", ""))
        assert Fraction(balance.free) + Fraction(balance.frozen) == owned
        tied_up = ("totalPositionIM", "totalOrderIM", "bonus") if wallet.get("accountIMRate") == "" else ()
        assert balance.frozen == sum(number(coin.get(name, "")) for name in ("locked", *tied_up))
        is_stated_or_none(balance, coin, owned)
    assert snapshot.margin is not None
    for name, field in UNIFIED_TOTALS.items():
        assert getattr(snapshot.margin, field) == (number(wallet[name]) if wallet.get(name) else None)


def is_stated_or_none(balance: Balance, coin: Mapping[str, str], owned: Fraction) -> None:
    """Checks that no figure is a 0 that was not stated, except an empty debt and the empty worth of nothing."""
    debts = (balance.borrowed, balance.accrued_interest, balance.unrealised_pnl)
    for figure, name in zip(debts, ("borrowAmount", "accruedInterest", "unrealisedPnl"), strict=True):
        assert figure == (number(coin[name]) if name in coin else None)
    has_something = owned or number(coin.get("unrealisedPnl", ""))
    for figure, name in ((balance.equity, "equity"), (balance.usd_value, "usdValue")):
        assert figure == (None if has_something and not coin[name] else number(coin[name]))
    margins = [number(coin[name]) for name in ("totalPositionIM", "totalOrderIM") if coin.get(name)]
    assert balance.initial_margin == (sum(margins) if len(margins) == 2 else None)
    maintenance = coin.get("totalPositionMM")
    assert balance.maintenance_margin == (number(maintenance) if maintenance else None)
    assert balance.withdrawing is None


def number(text: str) -> Fraction:
    """Parses a valid number; an empty text is 0, and so is what is smaller than any float."""
    return Fraction(text) if text and float(text) else Fraction(0)


# The raw bytes of an HTTP answer, on a socket.

heads = st.lists(
    st.sampled_from(
        [
            b"Content-Length: 5",
            b"Content-Length: -1",
            b"Content-Length: 5, 6",
            b"Content-Length: x",
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: chunked, gzip",
            b"Content-Encoding: gzip",
            b"Content-Encoding: deflate, gzip, gzip",
            b"Content-Encoding: zstd",
            b"Connection: close",
            b"Location: http://[::1",
            b"Set-Cookie: a=b; expires=x; domain=\xff",
        ]
    )
    | st.binary(max_size=40),
    max_size=4,
)
http_bodies = st.binary(max_size=40) | st.just(b'{"retCode":0}') | st.just(b"5\r\nhello\r\n0\r\n\r\n") | bodies
http_answers = st.binary(max_size=60) | st.builds(
    lambda first, head, body: b"\r\n".join([first, *head, b"", body]),
    st.sampled_from(
        [b"HTTP/1.1 200 OK", b"HTTP/1.0 200", b"HTTP/1.1 100 Continue", b"HTTP/1.1 302 Found", b"HTTP/2 200"]
    )
    | st.binary(max_size=20),
    heads,
    http_bodies,
)


class Peer:
    """Sends its `answer` to whoever asks, and hangs up."""

    def __init__(self) -> None:
        self.answer = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.transport = Transport(
            f"http://127.0.0.1:{self._listener.getsockname()[1]}", timeout_seconds=5, connections=1
        )
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(self.answer)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(65536)


@cache
def peer() -> Peer:
    return Peer()


def http_gives_a_snapshot_or_a_bybit_error(answer: bytes) -> None:
    peer().answer = answer
    try:
        reading = read_wallet(client_on(peer().transport), ACCOUNT, AccountType.SPOT)
    except BybitError as error:
        is_fit_for_a_log(error)
    else:
        assert b"retCode" in answer
        assert reading.received_at <= clock.now()


# A configuration file.

GOOD = f"""poll_interval: 30s
api:
  base_url: https://api.bybit.nl
accounts:
  - name: main
    account_type: SPOT
    coins: [BTC, ETH]
    api_key: {KEY}
    api_secret: {SECRET}
  - name: other
    account_type: SPOT
    poll_interval: 10s
    api_key_env: KEY
    api_secret_file: secret
""".encode()
WORDS = """accounts name account_type SPOT coins api api_key api_secret api_key_file poll_interval 30s 1e3 0x1f .inf
{ } [ ] - : &a *a !!python/object | > ' " # --- ~ ? << %YAML ../../etc/passwd"""
BLANKS = ["- ", ": ", "\n", "\n  ", "\n    ", "\t", "\x00", "\ufeff", "\u2028", "%YAML 1.1\n---\n"]
words = st.sampled_from(WORDS.split() + BLANKS)
files = (
    spliced(st.just(GOOD))
    | spliced(spliced(st.just(GOOD)))
    | st.lists(words, max_size=40).map(lambda parts: "".join(parts).encode())
    | st.text().map(lambda text: text.encode(errors="surrogatepass"))
    | st.binary(max_size=200)
    | anything.map(encoded)
    | st.integers(1, 3000).map(lambda depth: b"[" * depth)
)


@cache
def directory() -> Path:
    """With the secret that the good file names; gone when the process ends."""
    kept = tempfile.TemporaryDirectory(prefix="fuzz")
    path = Path(kept.name)
    _KEPT.append(kept)
    (path / "secret").touch(0o600)
    (path / "secret").write_text(SECRET)
    return path


_KEPT: list[Any] = []


def a_file_gives_a_configuration_or_a_configuration_error(content: bytes) -> None:
    path = directory() / "config.yaml"
    path.write_bytes(content)
    try:
        loaded = config.load(path, {"KEY": KEY})
    except config.ConfigError as error:
        names_the_file(error, path)
    else:
        assert loaded.accounts
        assert len({account.name for account in loaded.accounts}) == len(loaded.accounts)
        assert all(account.poll_interval_seconds >= 1 for account in loaded.accounts)
        assert all(account.stale_after_seconds >= account.poll_interval_seconds for account in loaded.accounts)
        assert SECRET not in repr(loaded)


def names_the_file(error: config.ConfigError, path: Path) -> None:
    assert error.problems
    assert all(problem.startswith(str(path)) for problem in error.problems)


# A signature.

secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
parameters = st.dictionaries(st.text(min_size=1), st.text(), max_size=4)


def hmac_by_hand(key: bytes, message: bytes) -> str:
    """https://www.rfc-editor.org/rfc/rfc2104"""
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(each ^ 0x36 for each in block) + message).digest()
    return hashlib.sha256(bytes(each ^ 0x5C for each in block) + inner).hexdigest()


def a_request_is_signed_as_it_is_sent(case: tuple[str, str, dict[str, str]]) -> None:
    """The embedded exchange, which has an HMAC of its own, accepts every signature; so does the one by hand."""
    key, secret, query = case
    exchange = Exchange(limits=UNLIMITED)
    exchange.add_account("main", api_key=key, api_secret=secret)
    canned = Canned(Response(200, {}, b'{"retCode":0,"result":{"spot":{"status":"","assets":[]}}}', clock.now()))
    account = Account("main", AccountType.SPOT, None, Secret(key), Secret(secret), 1.0, 3.0)
    client_on(canned).get(ASSET_INFO, query, SpotResult, account)
    assert canned.query.isascii()
    sent = {name.lower(): value for name, value in canned.headers.items()}
    answer = json.loads(handle(exchange, Request("GET", ASSET_INFO, canned.query, sent)).body)
    assert answer["retCode"] in (0, 10001), answer
    text = sent["x-bapi-timestamp"] + key + sent["x-bapi-recv-window"] + canned.query
    assert sent["x-bapi-sign"] == sign(secret, text) == hmac_by_hand(secret.encode(), text.encode())


class Property(NamedTuple):
    inputs: st.SearchStrategy[Any]
    holds: Callable[[Any], None]
    share: float
    """Of the cases of a long run."""


PROPERTIES = {
    "answer": Property(responses, an_answer_gives_a_snapshot_or_a_bybit_error, 0.3),
    "other answers": Property(others, any_other_answer_gives_what_it_says_or_a_bybit_error, 0.15),
    "unified": Property(
        unified_wallets(plain_amounts, coins.filter(bool)), a_unified_wallet_is_shown_as_the_exchange_states_it, 0.1
    ),
    "http": Property(http_answers, http_gives_a_snapshot_or_a_bybit_error, 0.05),
    "configuration": Property(files, a_file_gives_a_configuration_or_a_configuration_error, 0.25),
    "signature": Property(st.tuples(secrets, secrets, parameters), a_request_is_signed_as_it_is_sent, 0.15),
}
