"""The entries of ``accounts``."""

from __future__ import annotations

import sys
import unicodedata
from functools import partial
from typing import Any

from ..model import STALE_AFTER_INTERVALS, Account, AccountType
from . import schema
from .schema import Section
from .secrets import SecretReader

ACCOUNT_TYPES = tuple(account_type.value for account_type in AccountType)


def read_account(section: Section, secrets: SecretReader, interval: float, stale_after: float) -> Account:
    """Reads one account. What is wrong is reported to the section.

    ``interval`` is the global poll interval; ``stale_after`` is 0 if the configuration does not say it. Both are in
    seconds.
    """
    interval = section.optional("poll_interval", schema.duration(1.0), interval)
    account = Account(
        name=section.require("name", _name, ""),
        account_type=AccountType(section.require("account_type", schema.one_of(ACCOUNT_TYPES), ACCOUNT_TYPES[0])),
        coins=section.optional("coins", partial(_coins, section), None),
        api_key=secrets.read("api_key"),
        api_secret=secrets.read("api_secret"),
        poll_interval_seconds=interval,
        stale_after_seconds=stale_after or STALE_AFTER_INTERVALS * interval,
        **_subaccounts(section),
        products=section.optional("products", schema.boolean, False),
    )
    section.finish()
    return account


def _name(value: Any) -> str:
    if not schema.text(value).isprintable():
        raise ValueError(f"{schema.quote(value)} contains a line break or another character that is not printable")
    return str(value)


def _subaccounts(section: Section) -> dict[str, bool]:
    """Reads ``subaccounts``, which is true or false, or a mapping that says which of their balances are read."""
    if not section.is_section("subaccounts"):
        return {"subaccounts": section.optional("subaccounts", schema.boolean, False)}
    subaccounts = section.section("subaccounts")
    balances = subaccounts.optional("balances", schema.one_of([AccountType.FUND]), "")
    subaccounts.finish()
    return {"subaccounts": True, "subaccount_balances": bool(balances)}


def _coins(section: Section, value: Any) -> tuple[str, ...]:
    """Converts a list of coins. Each wrong coin is reported with its own path."""
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list such as [BTC, USDT]; leave it out for every coin of the account")
    for index, coin in enumerate(value):
        if not isinstance(coin, str):
            section.report(f"coins[{index}]", "must be a single value")
        elif not is_coin_name(coin):
            section.report(f"coins[{index}]", f"{schema.quote(coin)} is not an upper-case coin name")
        elif coin in value[:index]:
            section.report(f"coins[{index}]", f"{schema.quote(coin)} is listed twice")
    return tuple(sys.intern(str(coin)) for coin in value)  # all accounts share one text


def is_coin_name(text: str) -> bool:
    """Whether a coin of the exchange may have this name. Names in any script are possible."""
    return text != "" and not any(_is_refused(character) for character in text)


def _is_refused(character: str) -> bool:
    """Lower-case letters, blanks, commas, control characters, and others that are invisible or cannot be encoded."""
    if character.isascii():
        return character.islower() or character == "," or not "!" <= character <= "~"
    return character.islower() or unicodedata.category(character) in _REFUSED_CATEGORIES


_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
"""Unicode's control and format characters, surrogates, and the three kinds of separators."""
