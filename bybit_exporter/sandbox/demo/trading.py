"""Accounts that trade, in a spot wallet or in a unified wallet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Protocol

from bybit_exporter.sandbox.demo.market import PRICES, rounded
from bybit_exporter.sandbox.demo.steps import share
from bybit_exporter.sandbox.exchange import Account
from bybit_exporter.sandbox.wallets import decimal, plus


@dataclass(frozen=True, slots=True)
class Order:
    """An open order: the coin it sells, which is frozen, and the coin it buys."""

    sells: str
    amount: Decimal
    buys: str
    proceeds: Decimal


class Book(Protocol):
    """How orders change a wallet."""

    def free(self, account: Account, coin: str) -> str:
        """The amount that new orders may use."""

    def freeze(self, account: Account, coin: str, amount: Decimal) -> None:
        """Freeze an amount for an order. A negative amount is released."""

    def fill(self, account: Account, order: Order) -> None:
        """Replace the frozen amount by the order's proceeds, in one update."""


class SpotBook:
    """Orders in the spot wallet of a classic account."""

    def free(self, account: Account, coin: str) -> str:
        """See :class:`Book`."""
        return account.holdings[coin].free

    def freeze(self, account: Account, coin: str, amount: Decimal) -> None:
        """See :class:`Book`."""
        account.freeze(coin, str(amount))

    def fill(self, account: Account, order: Order) -> None:
        """See :class:`Book`."""
        sold, bought = account.holdings[order.sells], account.holdings[order.buys]
        account.update(
            {
                order.sells: replace(sold, frozen=plus(sold.frozen, -order.amount)),
                order.buys: replace(bought, free=plus(bought.free, order.proceeds)),
            }
        )


class UnifiedBook:
    """Orders in a unified wallet."""

    def free(self, account: Account, coin: str) -> str:
        """See :class:`Book`."""
        held = account.unified.rows[coin]
        return plus(held.wallet_balance, -decimal(held.locked))

    def freeze(self, account: Account, coin: str, amount: Decimal) -> None:
        """See :class:`Book`."""
        account.unified.freeze(coin, str(amount))

    def fill(self, account: Account, order: Order) -> None:
        """See :class:`Book`."""
        sold, bought = account.unified.rows[order.sells], account.unified.rows[order.buys]
        paid, unlocked = plus(sold.wallet_balance, -order.amount), plus(sold.locked, -order.amount)
        account.unified.update(
            {
                order.sells: replace(sold, wallet_balance=paid, locked=unlocked),
                order.buys: replace(bought, wallet_balance=plus(bought.wallet_balance, order.proceeds)),
            }
        )


class Trading:
    """Places orders, cancels them and fills them."""

    MOST_ORDERS = 5

    def __init__(self, book: Book, coins: tuple[str, ...] = tuple(PRICES)) -> None:
        self._book = book
        self._coins = coins
        self._orders: list[Order] = []

    def __call__(self, account: Account, random: Random, _: int) -> None:
        """One step: place one order, or end one."""
        if not self._orders or (len(self._orders) < self.MOST_ORDERS and random.random() < 0.5):
            self._place(account, random)
            return
        order = self._orders.pop(random.randrange(len(self._orders)))
        if random.random() < 0.6:
            self._book.fill(account, order)
        else:
            self._book.freeze(account, order.sells, -order.amount)

    def _place(self, account: Account, random: Random) -> None:
        order = self._random_order(account, random)
        if order.amount and order.proceeds:
            self._book.freeze(account, order.sells, order.amount)
            self._orders.append(order)

    def _random_order(self, account: Account, random: Random) -> Order:
        """A purchase or a sale against USDT, of at most 4 % of what is free, at about the coin's price."""
        coin = random.choice(self._coins)
        price = PRICES[coin] * Decimal(random.randint(9970, 10030)) / 10000
        sells, buys, rate = (coin, "USDT", price) if random.random() < 0.5 else ("USDT", coin, 1 / price)
        amount = share(sells, self._book.free(account, sells), random, most=40)
        return Order(sells, amount, buys, rounded(buys, amount * rate))
