"""Behaviours of the demo's accounts: called before each answer, they move an account up to the current time."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random

from bybit_exporter.sandbox.demo.market import STEP_SECONDS, rounded
from bybit_exporter.sandbox.exchange import BANNED, NORMAL, Account
from bybit_exporter.sandbox.messages import Refusal

WARM_UP_STEPS = 60
MOST_STEPS_AT_ONCE = 2000

Step = Callable[[Account, Random, int], None]

#: A cycle of states: how many seconds each lasts, the status word, and the refusal of every request.
STATUS_CYCLE: tuple[tuple[float, str, Refusal | None], ...] = (
    (180.0, NORMAL, None),
    (90.0, BANNED, None),
    (150.0, NORMAL, None),
    (120.0, NORMAL, Refusal(10027)),
)


class CatchUp:
    """Runs every step that has become due since the last call, each with a random generator of its own."""

    def __init__(self, step: Step, seed: str, start: float) -> None:
        self._step = step
        self._seed = seed
        self._start = start - WARM_UP_STEPS * STEP_SECONDS
        self._done = 0

    def __call__(self, account: Account, now: float) -> None:
        """Bring the account up to date. After a very long pause, only the latest steps run."""
        due = int((now - self._start) // STEP_SECONDS)
        for index in range(max(self._done, due - MOST_STEPS_AT_ONCE), due):
            self._step(account, Random(f"{self._seed}/{index}"), index)
        self._done = max(self._done, due)


class OncePerStep:
    """Calls ``update(account, time)`` once every ``STEP_SECONDS``, with the time at which the step began."""

    def __init__(self, update: Callable[[Account, float], None]) -> None:
        self._update = update
        self._step = -1

    def __call__(self, account: Account, now: float) -> None:
        """Update the account if a new step has begun."""
        step = int(now // STEP_SECONDS)
        if step != self._step:
            self._step = step
            self._update(account, step * STEP_SECONDS)


class StatusCycle:
    """Puts an account through the states of ``STATUS_CYCLE``, over and over."""

    def __init__(self, start: float) -> None:
        self._start = start

    def __call__(self, account: Account, now: float) -> None:
        """Set the state that belongs to this moment."""
        elapsed = max(0.0, now - self._start) % sum(seconds for seconds, _, _ in STATUS_CYCLE)
        for seconds, status, refusal in STATUS_CYCLE:
            account.status, account.refusal = status, refusal
            elapsed -= seconds
            if elapsed < 0:
                return


def share(coin: str, free: str, random: Random, most: int) -> Decimal:
    """A random part of an amount: between 5 and ``most`` per mille, in the decimals of the coin."""
    return rounded(coin, Decimal(free) * random.randint(5, most) / 1000)
