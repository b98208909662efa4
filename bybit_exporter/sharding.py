"""Which of several processes asks for an account: decided by its name alone, so they need not talk to each other.

Jump consistent hash (https://arxiv.org/abs/1406.2294): with one shard more, each account stays where it was or moves to
the new one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shard:
    """One process's share of the accounts: ``number`` counts from 0 to ``total`` - 1."""

    number: int = 0
    total: int = 1

    def has(self, account_name: str) -> bool:
        """Whether the account falls to this shard."""
        return shard_of(account_name, self.total) == self.number


SINGLE_SHARD = Shard()
"""One process has all accounts."""


def shard_of(account_name: str, total: int) -> int:
    """The number of the shard that asks for the account. A contract: another answer would move accounts."""
    return _jump(int.from_bytes(hashlib.blake2b(account_name.encode(), digest_size=8).digest(), "big"), total)


def _jump(key: int, total: int) -> int:
    """The last number that the key jumps to below ``total``; a further jump needs more shards than there are."""
    number, following = 0, 0
    while following < total:
        number = following
        key = (key * 2862933555777941757 + 1) % 2**64
        following = int((number + 1) * (2**31 / ((key >> 33) + 1)))
    return number


def ordinal(pod_name: str) -> int:
    """The number at the end of a pod's name or host name, as a StatefulSet gives it.

    Raises:
        ValueError: there is none.
    """
    found = re.fullmatch(r"[^.]+-(0|[1-9][0-9]{0,4})(\..*)?", pod_name)
    if found is None:
        raise ValueError(f'the pod\'s name "{pod_name}" does not end in a number, as in bybit-exporter-0')
    return int(found[1])
