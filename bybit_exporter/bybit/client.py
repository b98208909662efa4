"""Signed requests to the exchange, and the validation of its answers.

https://bybit-exchange.github.io/docs/v5/guide
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

import msgspec

from .. import __version__, clock
from ..model import Account, RateLimit
from .errors import (
    CLOCK,
    MALFORMED,
    QUOTED_CHARACTERS,
    BybitError,
    RetryPolicy,
    rule_for_http_status,
    rule_for_ret_code,
)
from .rate_limiter import RateLimiter
from .server_clock import ServerClock
from .signing import sign
from .transport import Response, Transport

T = TypeVar("T")
U = TypeVar("U")

SERVER_TIME_PATH = "/v5/market/time"


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """The result of a request, the rate limit reported with it, and the times of the request."""

    result: T
    rate_limits: Mapping[str, RateLimit]
    """By path of the endpoint."""
    asked_at: float
    received_at: float

    def with_result(self, result: U) -> Answer[U]:
        """The same answer with another result."""
        return Answer(result, self.rate_limits, self.asked_at, self.received_at)


class _Envelope(msgspec.Struct, rename="camel"):
    ret_code: int
    result: msgspec.Raw = msgspec.Raw(b"null")
    ret_msg: str | None = None
    time: int | None = None


class _ServerTime(msgspec.Struct, rename="camel"):
    time_nano: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,20}$")]


class Client:
    """Sends requests to one exchange, for any number of accounts and from any number of threads.

    ``observe_request`` is called once for each HTTP request, failed ones included, with the path of the endpoint and
    the seconds from sending to the last byte.
    """

    def __init__(
        self,
        transport: Transport,
        server_clock: ServerClock,
        rate_limiter: RateLimiter,
        *,
        recv_window_seconds: float,
        observe_request: Callable[[str, float], None] = lambda path, seconds: None,
    ) -> None:
        self._transport = transport
        self.clock = server_clock
        self.rate_limiter = rate_limiter
        self._recv_window_ms = str(round(recv_window_seconds * 1000))
        self._observe_request = observe_request

    def close(self) -> None:
        """Sends no further request: waits for the rate limiter end with `Closed`. Closes the idle connections."""
        self.rate_limiter.close()
        self._transport.close()

    def get(self, path: str, params: Mapping[str, str], result: type[T], signer: Account | None = None) -> Answer[T]:
        """Sends a request, signed if there is a signer, and validates the answer.

        After a failure that may be temporary, the request is repeated once with a new signature. If the exchange
        refuses our timestamp, its clock is read before that. Raises BybitError for any failure.
        """
        query = _query(tuple(params.items()))
        try:
            return self._get(path, query, result, signer)
        except BybitError as error:
            retry = error.rule.retry
            if retry not in (RetryPolicy.RETRY_ONCE, RetryPolicy.SYNC_CLOCK):
                raise
        if retry is RetryPolicy.SYNC_CLOCK:
            self._synchronise_clock()
        return self._get(path, query, result, signer)

    def _get(self, path: str, query: str, result: type[T], signer: Account | None) -> Answer[T]:
        self.rate_limiter.acquire()
        headers = _HEADERS | (self._signature(query, signer) if signer else {})
        sent_timestamp, asked_at = clock.wall(), clock.now()
        try:
            response = self._transport.get(path, query, headers)
        finally:
            self._observe_request(path, clock.now() - asked_at)
        rate_limits = _rate_limits(path, response)
        try:
            envelope = _envelope(response)
            if envelope.time is not None and envelope.time.bit_length() <= _MAX_TIME_BITS:
                received_timestamp = sent_timestamp + (response.received_at - asked_at)
                self.clock.observe(envelope.time / 1000, sent_timestamp, received_timestamp, asked_at)
            decoded = decode(envelope.result, result, "result")
        except BybitError as error:
            error.rate_limits = rate_limits
            if error.rule.retry is RetryPolicy.PAUSE_ALL:
                self.rate_limiter.block(error.wait_seconds(self.clock.now()))
            raise
        return Answer(decoded, rate_limits, asked_at, response.received_at)

    def _synchronise_clock(self) -> None:
        try:
            answer = self._get(SERVER_TIME_PATH, "", _ServerTime, None)
        except BybitError as error:
            if error.rule.retry is RetryPolicy.PAUSE_ALL:
                raise
            detail = f"the exchange refuses our timestamp, and its own clock cannot be read: {error.detail}"
            raise BybitError(CLOCK, detail, code=SERVER_TIME_PATH) from error
        sent_timestamp, received_timestamp = clock.timestamp_of(answer.asked_at), clock.timestamp_of(answer.received_at)
        self.clock.synchronise(int(answer.result.time_nano) / 1e9, sent_timestamp, received_timestamp, answer.asked_at)

    def _signature(self, query: str, signer: Account) -> dict[str, str]:
        key, timestamp = signer.api_key.reveal(), str(int(self.clock.now() * 1000))
        text = timestamp + key + self._recv_window_ms + query
        return {
            "X-BAPI-API-KEY": key,
            "X-BAPI-TIMESTAMP": timestamp,
            "X-BAPI-RECV-WINDOW": self._recv_window_ms,
            "X-BAPI-SIGN": sign(signer.api_secret.reveal(), text),
        }


_query = functools.lru_cache(maxsize=256)(urlencode)
"""Cached, since nearly all requests have the same parameters."""

_HEADERS = {"Accept": "application/json", "User-Agent": f"bybit-exporter/{__version__}"}

_MAX_TIME_BITS = 53
"""Longer numbers of milliseconds are ignored: they cannot be a time, and may not fit a float."""


def _envelope(response: Response) -> _Envelope:
    if response.status != 200:
        raise _http_error(response)
    envelope = decode(response.body, _Envelope, "")
    if envelope.ret_code != 0:
        raise BybitError(
            rule_for_ret_code(envelope.ret_code, envelope.ret_msg or ""),
            f"retCode {envelope.ret_code}",
            received_text=envelope.ret_msg or "",
            code=f"retCode {envelope.ret_code}",
            reset_at_ms=_reset_at_ms(response),
        )
    return envelope


def _http_error(response: Response) -> BybitError:
    code, text = f"HTTP {response.status}", _error_page(response.body)
    try:
        envelope = decode(response.body, _Envelope, "")
        code, text = f"{code}, retCode {envelope.ret_code}", envelope.ret_msg
    except BybitError:
        pass  # the page of a proxy
    return BybitError(
        rule_for_http_status(response.status, response.body),
        code,
        received_text=text,
        code=code,
        reset_at_ms=_reset_at_ms(response),
        retry_after_seconds=_retry_after(response.headers.get("Retry-After", "")),
    )


def decode(raw: bytes | msgspec.Raw, kind: type[T], root: str) -> T:
    """Decodes and validates JSON; ``root`` is its path in the answer. Raises BybitError, ``malformed``."""
    try:
        return _decoder(kind).decode(raw)
    except RecursionError:
        raise BybitError(MALFORMED, "the answer is nested too deeply") from None
    except msgspec.ValidationError as error:
        fault, _, path = str(error).partition(" - at `$")
        path = path.rstrip("`")
        if missing := _MISSING.fullmatch(fault):
            raise BybitError(MALFORMED, f"{root}{path}.{missing[1]}: missing".lstrip(".")) from None
        field = (root + path).lstrip(".") or "the answer"
        raise BybitError(MALFORMED, f"{field}: {fault}") from None  # never the value: it may be a balance
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BybitError(MALFORMED, f"not JSON ({error})", received_text=_error_page(bytes(raw))) from None


_decoders: dict[type, msgspec.json.Decoder[Any]] = {}
_decoders_lock = threading.Lock()


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """The decoder for a schema.

    The lock keeps two threads from creating decoders at the same time, which crashes the process with msgspec 0.22.0.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        with _decoders_lock:
            decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    return decoder


_MISSING = re.compile(r"Object missing required field `(\w+)`")


def _error_page(body: bytes) -> str | None:
    """The beginning of a body that is HTML or plain text. None for JSON and parts of it: they may contain balances."""
    text = body[: 4 * QUOTED_CHARACTERS].decode(errors="replace").partition("{")[0]
    return text if text and (text.lstrip().startswith("<") or '"' not in text) else None


def _rate_limits(path: str, response: Response) -> dict[str, RateLimit]:
    limit = _integer(response.headers.get("X-Bapi-Limit"))
    remaining = _integer(response.headers.get("X-Bapi-Limit-Status"))
    return {} if limit is None or remaining is None else {path: RateLimit(limit, remaining)}


def _reset_at_ms(response: Response) -> int | None:
    return _integer(response.headers.get("X-Bapi-Limit-Reset-Timestamp"))


def _integer(text: str | None) -> int | None:
    return int(text) if text and _INTEGER.fullmatch(text) else None


_INTEGER = re.compile(r"[0-9]{1,18}")


def _retry_after(text: str) -> float:
    """Seconds, from either form of the header; 0 if it is absent or invalid."""
    if (seconds := _integer(text)) is not None:
        return float(seconds)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - clock.wall())
    except (ValueError, OverflowError):
        return 0.0
