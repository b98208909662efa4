"""Accounts that withdraw: from a spot wallet, which states it itself, and from a funding wallet, which does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

from bybit_exporter.sandbox.accounts import Account, FundingHoldings, Holdings
from bybit_exporter.sandbox.demo.market import STEP_SECONDS, rounded
from bybit_exporter.sandbox.demo.steps import WARM_UP_STEPS, share
from bybit_exporter.sandbox.records import UNDER_WAY, Withdrawal
from bybit_exporter.sandbox.wallets import Holding, plus


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A withdrawal from a spot wallet, and the step at which it is through."""

    coin: str
    amount: Decimal
    ends: int


class Treasurer:
    """Starts withdrawals that take a minute or two, and receives deposits that make up for them."""

    MOST_AT_ONCE = 3

    def __init__(self, full: Holdings) -> None:
        self._full = full
        self._under_way: list[UnderWay] = []

    def __call__(self, account: Account, random: Random, index: int) -> None:
        """One step: end what is due, and perhaps begin something."""
        for withdrawal in [each for each in self._under_way if each.ends <= index]:
            self._under_way.remove(withdrawal)
            self._restate(account, withdrawal.coin, Decimal(0))
        coin = random.choice(list(self._full))
        dice = random.random()
        if dice < 0.12 and len(self._under_way) < self.MOST_AT_ONCE:
            amount = share(coin, account.holdings[coin].free, random, most=30)
            self._under_way.append(UnderWay(coin, amount, index + random.randint(12, 30)))
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
        missing = Decimal(self._full[coin].free) - Decimal(account.holdings[coin].free)
        if missing > 0:
            self._restate(account, coin, rounded(coin, missing * random.randint(40, 100) / 100))


class Vault:
    """A funding wallet: withdrawals are checked, then pending, then sent, or now and then cancelled; and deposits.

    What is being withdrawn has left the wallet; what is cancelled comes back.
    """

    MOST_AT_ONCE = 3
    MOST_REMEMBERED = 120
    #: Not below the ids that an exchange gives out itself.
    FIRST_ID = 140_000_000

    def __init__(self, full: FundingHoldings, fees: Mapping[str, str], start: float) -> None:
        self._full = full
        self._fees = fees
        self._start = start - WARM_UP_STEPS * STEP_SECONDS

    def __call__(self, account: Account, random: Random, index: int) -> None:
        """One step: each withdrawal may go on by one status, and something may begin."""
        now = self._start + index * STEP_SECONDS
        under_way = [each for each in account.withdrawals.rows.values() if each.status in UNDER_WAY]
        for withdrawal in under_way:
            self._advance(account, withdrawal, random, now)
        coin = random.choice(list(self._fees))
        dice = random.random()
        if dice < 0.08 and len(under_way) < self.MOST_AT_ONCE:
            self._begin(account, coin, random, index, now)
        elif dice > 0.95:
            self._deposit(account, coin, random)

    def _begin(self, account: Account, coin: str, random: Random, index: int, now: float) -> None:
        amount = share(coin, account.funding.rows[coin].transferable, random, most=30)
        made = Withdrawal(str(self.FIRST_ID + index), coin, format(amount, "f"), now, now, fee=self._fees[coin])
        self._pay(account, coin, -amount)
        latest = list(account.withdrawals.rows)[: -self.MOST_REMEMBERED + 1]
        account.withdrawals.update({**dict.fromkeys(latest), made.withdraw_id: made})

    def _advance(self, account: Account, withdrawal: Withdrawal, random: Random, now: float) -> None:
        if random.random() > 0.15:
            return
        status = "Pending"
        if withdrawal.status == "Pending":
            status = random.choices(("success", "BlockchainConfirmed", "CancelByUser"), (6, 3, 1))[0]
        if status == "CancelByUser":
            self._pay(account, withdrawal.coin, Decimal(withdrawal.amount))
        later = replace(withdrawal, status=status, updated_at=now)
        account.withdrawals.update({withdrawal.withdraw_id: later})

    def _deposit(self, account: Account, coin: str, random: Random) -> None:
        missing = Decimal(self._full[coin].wallet_balance) - Decimal(account.funding.rows[coin].wallet_balance)
        if missing > 0:
            self._pay(account, coin, rounded(coin, missing * random.randint(40, 100) / 100))

    def _pay(self, account: Account, coin: str, step: Decimal) -> None:
        """Change the whole and what may be transferred of it: what is held back stays what it is."""
        old = account.funding.rows[coin]
        balance, transferable = plus(old.wallet_balance, step), plus(old.transferable, step)
        account.funding.update({coin: replace(old, wallet_balance=balance, transfer_balance=transferable)})
