"""A master account whose subaccounts pay each other. One of them is banned and frozen from time to time."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from random import Random

from bybit_exporter.sandbox.demo.market import STEP_SECONDS
from bybit_exporter.sandbox.demo.steps import share
from bybit_exporter.sandbox.exchange import Account
from bybit_exporter.sandbox.holders import MEMBER_FROZEN, MEMBER_LOGIN_BANNED, MEMBER_NORMAL, Member
from bybit_exporter.sandbox.wallets import FundingHolding, UnifiedHolding, plus

MEMBERS = (*(f"desk{number:02}" for number in range(1, 12)), "onandoff12")

#: A cycle of states of the last subaccount: how many seconds each lasts, and the state.
STATES = ((600.0, MEMBER_NORMAL), (180.0, MEMBER_LOGIN_BANNED), (600.0, MEMBER_NORMAL), (180.0, MEMBER_FROZEN))


def add_subaccounts(master: Account) -> None:
    """Add the subaccounts to the master account."""
    for number, name in enumerate(MEMBERS, start=1):
        amounts = {"USDT": f"{20_000 + 1_500 * number}.00", "BTC": f"0.{number:02}0000"}
        member = master.add_member(name, {coin: FundingHolding(amount) for coin, amount in amounts.items()})
        member.unified.update({"USDT": UnifiedHolding(f"{1_000 + 250 * number}.00")})


class SubaccountTransfers:
    """Payments between subaccounts, and the state of the last subaccount."""

    def __call__(self, master: Account, random: Random, index: int) -> None:
        """One step: perhaps a payment, and the state at that time."""
        members = list(master.members.values())
        if random.random() < 0.4:
            payer, payee = random.sample(members, 2)
            pay(payer, payee, "USDT", random)
        members[-1].status = state_at(index * STEP_SECONDS)


def pay(payer: Member, payee: Member, coin: str, random: Random) -> None:
    """Transfer a small part of what the payer has."""
    amount = share(coin, payer.funding.rows[coin].wallet_balance, random, most=20)
    for member, step in ((payer, -amount), (payee, amount)):
        old = member.funding.rows[coin]
        member.funding.update({coin: replace(old, wallet_balance=plus(old.wallet_balance, Decimal(step)))})


def state_at(seconds: float) -> int:
    """The state at this time in the cycle (seconds)."""
    elapsed = seconds % sum(lasts for lasts, _ in STATES)
    for lasts, state in STATES:
        elapsed -= lasts
        if elapsed < 0:
            return state
    return MEMBER_NORMAL
