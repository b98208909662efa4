"""How figures move although nothing runs: an account catches up with the clock whenever it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from random import Random

from bybit_exporter.sandbox.accounts import BANNED, NORMAL, Account
from bybit_exporter.sandbox.demo.market import STEP_SECONDS, rounded, usd_value
from bybit_exporter.sandbox.messages import Refusal

WARM_UP_STEPS = 60
MOST_STEPS_AT_ONCE = 2000

Step = Callable[[Account, Random, int], None]

#: How long, in seconds, and in which state: over and over again.
MOODS: tuple[tuple[float, str, Refusal | None], ...] = (
    (180.0, NORMAL, None),
    (90.0, BANNED, None),
    (150.0, NORMAL, None),
    (120.0, NORMAL, Refusal(10027)),
)


class CatchUp:
    """Takes the steps that have become due since the account was last asked."""

    def __init__(self, step: Step, seed: str, start: float) -> None:
        self._step = step
        self._seed = seed
        self._start = start - WARM_UP_STEPS * STEP_SECONDS
        self._done = 0

    def __call__(self, account: Account, now: float) -> None:
        """Bring the account up to date. After a very long pause, only the latest steps are taken."""
        due = int((now - self._start) // STEP_SECONDS)
        for index in range(max(self._done, due - MOST_STEPS_AT_ONCE), due):
            self._step(account, Random(f"{self._seed}/{index}"), index)
        self._done = max(self._done, due)


class Valued:
    """Whatever the account does, its unified wallet then states what the coins are worth in USD."""

    def __init__(self, behaviour: CatchUp) -> None:
        self._behaviour = behaviour

    def __call__(self, account: Account, now: float) -> None:
        """Do as the behaviour does, then value each coin at the latest prices."""
        self._behaviour(account, now)
        at = now // STEP_SECONDS * STEP_SECONDS
        held = account.unified.rows.items()
        valued = {coin: replace(row, usd_value=usd_value(coin, Decimal(row.equity), at)) for coin, row in held}
        if valued != account.unified.rows:
            account.unified.update(valued)


class Moods:
    """Puts an account through the states of ``MOODS``."""

    def __init__(self, start: float) -> None:
        self._start = start

    def __call__(self, account: Account, now: float) -> None:
        """Set the state that belongs to this moment."""
        elapsed = max(0.0, now - self._start) % sum(seconds for seconds, _, _ in MOODS)
        for seconds, status, refusal in MOODS:
            account.status, account.refusal = status, refusal
            elapsed -= seconds
            if elapsed < 0:
                return


def share(coin: str, free: str, random: Random, most: int) -> Decimal:
    """Between 0.5 % and ``most`` per mille of what is free of a coin."""
    return rounded(coin, Decimal(free) * random.randint(5, most) / 1000)
