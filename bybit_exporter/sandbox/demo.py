"""The made-up accounts behind ``--demo``: one trades, one withdraws, one is banned now and then.

Nothing runs in the background. Whenever an account is asked, it catches up with the clock in small steps,
each with a random generator of its own, so the figures are a function of the seed and of the time passed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal
from random import Random

from bybit_exporter.sandbox.accounts import BANNED, NORMAL, Account
from bybit_exporter.sandbox.exchange import Exchange
from bybit_exporter.sandbox.messages import Refusal
from bybit_exporter.sandbox.wallets import Holding, plus

STEP_SECONDS = 5.0
WARM_UP_STEPS = 60
MOST_STEPS_AT_ONCE = 2000

#: Prices in USDT, made up, and the decimals in which amounts of the coin are dealt.
PRICES = {"BTC": Decimal(64000), "ETH": Decimal(3100), "SOL": Decimal(145), "XRP": Decimal("0.52")}
DECIMALS = {"BTC": 6, "ETH": 5, "SOL": 3, "XRP": 2, "USDT": 2}

TRADING = {
    "BTC": Holding("1.284350"),
    "ETH": Holding("26.53485"),
    "SOL": Holding("562.750"),
    "XRP": Holding("158250.00"),
    "USDT": Holding("86420.55"),
}
TREASURY = {"BTC": Holding("24.500000"), "ETH": Holding("310.00000"), "USDT": Holding("1250000.00")}
ON_AND_OFF = {"BTC": Holding("0.250000", "0.050000"), "USDT": Holding("5300.00", "1200.00")}

#: How long, in seconds, and in which state: over and over again.
MOODS: tuple[tuple[float, str, Refusal | None], ...] = (
    (180.0, NORMAL, None),
    (90.0, BANNED, None),
    (150.0, NORMAL, None),
    (120.0, NORMAL, Refusal(10027)),
)

Step = Callable[[Account, Random, int], None]


def demo_exchange(
    clock: Callable[[], float] = time.time,
    seed: str = "demo",
    credentials: Mapping[str, tuple[str, str]] | None = None,
) -> Exchange:
    """An exchange with the demo's accounts. Keys and secrets are random unless given by account name."""
    exchange = Exchange(clock)
    start = clock()
    behaviours: tuple[tuple[str, Mapping[str, Holding], Callable[[Account, float], None]], ...] = (
        ("trading", TRADING, CatchUp(Trader(), f"{seed}/trading", start)),
        ("treasury", TREASURY, CatchUp(Treasurer(), f"{seed}/treasury", start)),
        ("banned-now-and-then", ON_AND_OFF, Moods(start)),
    )
    for name, holdings, behaviour in behaviours:
        key, secret = (credentials or {}).get(name, (None, None))
        exchange.add_account(name, holdings, api_key=key, api_secret=secret).behaviour = behaviour
    return exchange


def configuration(exchange: Exchange, base_url: str) -> str:
    """YAML with which the exporter polls every account of the exchange."""
    lines = [
        "# The figures are invented: this is the exporter's embedded exchange, not Bybit.",
        "poll_interval: 5s",
        "api:",
        f"  base_url: {json.dumps(base_url)}",
        "accounts:",
    ]
    for account in exchange.accounts.values():
        lines += [
            f"  - name: {json.dumps(account.name)}",
            "    account_type: SPOT",
            f"    api_key: {json.dumps(account.api_key)}",
            f"    api_secret: {json.dumps(account.api_secret)}",
        ]
    return "\n".join(lines) + "\n"


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


@dataclass(frozen=True, slots=True)
class Order:
    """An open order: what it would sell, which is frozen, and what it would buy."""

    sells: str
    amount: Decimal
    buys: str
    proceeds: Decimal


class Trader:
    """Places orders, which freezes; cancels them, which releases; and has them filled, which exchanges."""

    MOST_ORDERS = 5

    def __init__(self) -> None:
        self._orders: list[Order] = []

    def __call__(self, account: Account, random: Random, _: int) -> None:
        """One step: one order more or one less."""
        if not self._orders or (len(self._orders) < self.MOST_ORDERS and random.random() < 0.5):
            self._place(account, random)
            return
        order = self._orders.pop(random.randrange(len(self._orders)))
        if random.random() < 0.6:
            fill(account, order)
        else:
            account.move(order.sells, str(-order.amount))

    def _place(self, account: Account, random: Random) -> None:
        order = invent_order(account, random)
        if order.amount and order.proceeds:
            account.move(order.sells, str(order.amount))
            self._orders.append(order)


def invent_order(account: Account, random: Random) -> Order:
    """A purchase or a sale, for USDT, of a few per cent of what is free, at about the coin's price."""
    coin = random.choice(list(PRICES))
    price = PRICES[coin] * Decimal(random.randint(9970, 10030)) / 10000
    sells, buys, rate = (coin, "USDT", price) if random.random() < 0.5 else ("USDT", coin, 1 / price)
    amount = share(account, sells, random, most=40)
    return Order(sells, amount, buys, rounded(buys, amount * rate))


def fill(account: Account, order: Order) -> None:
    """Swap the frozen amount for its proceeds, in one stroke."""
    sold, bought = account.holdings[order.sells], account.holdings[order.buys]
    account.update(
        {
            order.sells: replace(sold, frozen=plus(sold.frozen, -order.amount)),
            order.buys: replace(bought, free=plus(bought.free, order.proceeds)),
        }
    )


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A withdrawal under way, and the step at which it is through."""

    coin: str
    amount: Decimal
    ends: int


class Treasurer:
    """Starts withdrawals that take a minute or two, and receives deposits that make up for them."""

    MOST_AT_ONCE = 3

    def __init__(self) -> None:
        self._under_way: list[Withdrawal] = []

    def __call__(self, account: Account, random: Random, index: int) -> None:
        """One step: end what is due, and perhaps begin something."""
        for withdrawal in [each for each in self._under_way if each.ends <= index]:
            self._under_way.remove(withdrawal)
            self._restate(account, withdrawal.coin, Decimal(0))
        coin = random.choice(list(TREASURY))
        dice = random.random()
        if dice < 0.12 and len(self._under_way) < self.MOST_AT_ONCE:
            amount = share(account, coin, random, most=30)
            self._under_way.append(Withdrawal(coin, amount, index + random.randint(12, 30)))
            self._restate(account, coin, -amount)
        elif dice > 0.9:
            self._deposit(account, coin, random)

    def _restate(self, account: Account, coin: str, step: Decimal) -> None:
        """Change what is free, and state what is being withdrawn: nothing is ``""``."""
        amounts: Iterable[Decimal] = [each.amount for each in self._under_way if each.coin == coin]
        old, withdrawing = account.holdings[coin], sum(amounts, Decimal(0))
        holding = Holding(plus(old.free, step), old.frozen, format(withdrawing, "f") if withdrawing else "")
        account.update({coin: holding})

    def _deposit(self, account: Account, coin: str, random: Random) -> None:
        missing = Decimal(TREASURY[coin].free) - Decimal(account.holdings[coin].free)
        if missing > 0:
            self._restate(account, coin, rounded(coin, missing * random.randint(40, 100) / 100))


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


def share(account: Account, coin: str, random: Random, most: int) -> Decimal:
    """Between 0.5 % and ``most`` per mille of what is free of a coin."""
    return rounded(coin, Decimal(account.holdings[coin].free) * random.randint(5, most) / 1000)


def rounded(coin: str, amount: Decimal) -> Decimal:
    """Down to the decimals in which the coin is dealt."""
    return amount.quantize(Decimal(1).scaleb(-DECIMALS[coin]), rounding=ROUND_DOWN)
