"""Accounts that withdraw: from a spot wallet, which states withdrawals, and from a funding wallet, which does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

from bybit_exporter.sandbox.demo.market import STEP_SECONDS, rounded
from bybit_exporter.sandbox.demo.steps import WARM_UP_STEPS, share
from bybit_exporter.sandbox.exchange import Account
from bybit_exporter.sandbox.holders import FundingHoldings, Holdings
from bybit_exporter.sandbox.records import UNDER_WAY, Withdrawal
from bybit_exporter.sandbox.wallets import Holding, plus


@dataclass(frozen=True, slots=True)
class SpotWithdrawal:
    """A withdrawal from a spot wallet, and the step at which it ends."""

    coin: str
    amount: Decimal
    ends: int


class SpotWithdrawals:
    """Withdrawals that take a minute or two, and deposits that refill the wallet."""

    MOST_AT_ONCE = 3

    def __init__(self, full: Holdings) -> None:
        self._full = full
        self._under_way: list[SpotWithdrawal] = []

    def __call__(self, account: Account, random: Random, index: int) -> None:
        """One step: end the withdrawals that are due, and perhaps start a withdrawal or a deposit."""
        for withdrawal in [each for each in self._under_way if each.ends <= index]:
            self._under_way.remove(withdrawal)
            self._change(account, withdrawal.coin, Decimal(0))
        coin = random.choice(list(self._full))
        dice = random.random()
        if dice < 0.12 and len(self._under_way) < self.MOST_AT_ONCE:
            amount = share(coin, account.holdings[coin].free, random, most=30)
            self._under_way.append(SpotWithdrawal(coin, amount, index + random.randint(12, 30)))
            self._change(account, coin, -amount)
        elif dice > 0.9:
            self._deposit(account, coin, random)

    def _change(self, account: Account, coin: str, step: Decimal) -> None:
        """Change the free amount, and set the amount that is being withdrawn; none is ``""``."""
        amounts: Iterable[Decimal] = [each.amount for each in self._under_way if each.coin == coin]
        old, withdrawing = account.holdings[coin], sum(amounts, Decimal(0))
        holding = Holding(plus(old.free, step), old.frozen, format(withdrawing, "f") if withdrawing else "")
        account.update({coin: holding})

    def _deposit(self, account: Account, coin: str, random: Random) -> None:
        missing = Decimal(self._full[coin].free) - Decimal(account.holdings[coin].free)
        if missing > 0:
            self._change(account, coin, rounded(coin, missing * random.randint(40, 100) / 100))


class FundingWithdrawals:
    """Withdrawals from a funding wallet, and deposits that refill it.

    A withdrawal is checked, then pending, then sent or, rarely, cancelled. Its amount leaves the wallet at the start
    and comes back when it is cancelled. For a part of each hour, the exchange holds an amount back because of risk.
    """

    MOST_AT_ONCE = 3
    MOST_REMEMBERED = 120
    #: Held back at the beginning of each hour, and for how many seconds.
    RISK_FROZEN_USD, RISK_SECONDS = "2500", 1200.0
    #: Above the ids that the exchange itself assigns.
    FIRST_ID = 140_000_000

    def __init__(self, full: FundingHoldings, fees: Mapping[str, str], start: float) -> None:
        self._full = full
        self._fees = fees
        self._start = start - WARM_UP_STEPS * STEP_SECONDS

    def __call__(self, account: Account, random: Random, index: int) -> None:
        """One step: each withdrawal may reach its next status, and a withdrawal or a deposit may start."""
        now = self._start + index * STEP_SECONDS
        account.risk_frozen_usd = self.RISK_FROZEN_USD if now % 3600 < self.RISK_SECONDS else "0"
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
        self._add(account, coin, -amount)
        latest = list(account.withdrawals.rows)[: -self.MOST_REMEMBERED + 1]
        account.withdrawals.update({**dict.fromkeys(latest), made.withdraw_id: made})

    def _advance(self, account: Account, withdrawal: Withdrawal, random: Random, now: float) -> None:
        if random.random() > 0.15:
            return
        status = "Pending"
        if withdrawal.status == "Pending":
            status = random.choices(("success", "BlockchainConfirmed", "CancelByUser"), (6, 3, 1))[0]
        if status == "CancelByUser":
            self._add(account, withdrawal.coin, Decimal(withdrawal.amount))
        later = replace(withdrawal, status=status, updated_at=now)
        account.withdrawals.update({withdrawal.withdraw_id: later})

    def _deposit(self, account: Account, coin: str, random: Random) -> None:
        missing = Decimal(self._full[coin].wallet_balance) - Decimal(account.funding.rows[coin].wallet_balance)
        if missing > 0:
            self._add(account, coin, rounded(coin, missing * random.randint(40, 100) / 100))

    def _add(self, account: Account, coin: str, step: Decimal) -> None:
        """Change the balance and the transferable amount by the same step."""
        old = account.funding.rows[coin]
        balance, transferable = plus(old.wallet_balance, step), plus(old.transferable, step)
        account.funding.update({coin: replace(old, wallet_balance=balance, transfer_balance=transferable)})
