"""Accounts of the embedded exchange: a key, holdings, and the moods a test or the demo puts them in."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Literal

from bybit_exporter.sandbox.limits import RateLimit
from bybit_exporter.sandbox.messages import Fault, Recorded, Refusal

if TYPE_CHECKING:
    from bybit_exporter.sandbox.exchange import Exchange

NORMAL = "ACCOUNT_STATUS_NORMAL"
BANNED = "ACCOUNT_STATUS_UNSPECIFIED"

_EXACT = Context(prec=80)


@dataclass(frozen=True, slots=True)
class Holding:
    """One coin's amounts, character for character as the exchange states them."""

    free: str = "0"
    frozen: str = "0"
    withdraw: str = ""


Holdings = Mapping[str, Holding]


class Account:
    """One key of one UID. Attributes may be changed at any time, from any thread.

    ``holdings`` is replaced whole and never edited, so one answer is always one consistent state.
    """

    def __init__(self, exchange: Exchange, name: str, holdings: Holdings, uid: int) -> None:
        self.name = name
        self.uid = uid
        self.api_key = random_text(18)
        self.api_secret = random_text(36)
        self.holdings: Holdings = dict(holdings)
        #: The raw word of the spot wallet: ``NORMAL``, ``BANNED`` or anything else.
        self.status = NORMAL
        #: ``unified``: the spot endpoint refuses with ``mode_code``, for which Bybit also uses 100028.
        self.mode: Literal["classic", "unified"] = "classic"
        self.mode_code = 10008
        #: Every private request is refused with this, e.g. ``Refusal(10027)``.
        self.refusal: Refusal | None = None
        self.fault: Fault | None = None
        #: Instead of the endpoint's own limit.
        self.limit: RateLimit | None = None
        #: Called with the account and the time before each answer: figures that move without a thread.
        self.behaviour: Callable[[Account, float], None] | None = None
        #: Whether a signature is right; replace it for a key that is not HMAC: ``(text, signature) -> bool``.
        self.verify: Callable[[str, str], bool] = self._verify_hmac
        self.request_count = 0
        #: Every state ever put into an answer, oldest first (bounded). A fault may keep one from arriving.
        self.served: deque[Holdings] = deque(maxlen=exchange.history)
        self.exchange = exchange

    def __repr__(self) -> str:
        return f"Account({self.name!r}, uid={self.uid})"

    @property
    def requests(self) -> list[Recorded]:
        """The latest requests made with this account's key; ``request_count`` counts them all."""
        return [recorded for recorded in self.exchange.requests if recorded.account == self.name]

    def update(self, changes: Mapping[str, Holding | None]) -> None:
        """Set some coins at once; None makes a coin vanish from the listing."""
        with self.exchange.lock:
            merged = {**self.holdings, **changes}
            self.holdings = {coin: holding for coin, holding in merged.items() if holding is not None}

    def move(self, coin: str, amount: str) -> None:
        """Freeze an amount, or with a minus sign release it. Free plus frozen stays what it was."""
        with self.exchange.lock:
            old, step = self.holdings[coin], Decimal(amount)
            moved = Holding(plus(old.free, -step), plus(old.frozen, step), old.withdraw)
            self.holdings = {**self.holdings, coin: moved}

    def serve(self) -> Holdings:
        """The holdings as they stand, remembered as served."""
        holdings = self.holdings
        if not self.served or self.served[-1] is not holdings:
            self.served.append(holdings)
        return holdings

    def _verify_hmac(self, text: str, signature: str) -> bool:
        expected = hmac.new(self.api_secret.encode(), text.encode("latin-1"), hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.encode("latin-1"))


def plus(amount: str, step: Decimal) -> str:
    """The exact sum as a decimal string without an exponent; an amount of ``""`` is 0."""
    return format(_EXACT.add(Decimal(amount or "0"), step), "f")


def random_text(length: int) -> str:
    """Letters and digits, as the exchange's keys and secrets are."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))
