"""Distributes the accounts over several processes.

The name of an account alone decides its shard, so the processes need no coordination. The shard is a jump consistent
hash (https://arxiv.org/abs/1406.2294): when a shard is added, each account stays in its shard or moves to the new one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shard:
    """One process's share of the accounts. ``number`` counts from 0 to ``total`` - 1."""

    number: int = 0
    total: int = 1

    def has(self, account_name: str) -> bool:
        """Whether the account belongs to this shard."""
        return shard_of(account_name, self.total) == self.number


SINGLE_SHARD = Shard()
"""One process has all accounts."""


def shard_of(account_name: str, total: int) -> int:
    """The number of the shard that polls the account. It must never change, since that would move accounts."""
    return _jump(int.from_bytes(hashlib.blake2b(account_name.encode(), digest_size=8).digest(), "big"), total)


def _jump(key: int, total: int) -> int:
    """The jump consistent hash of a key: a number below ``total``."""
    bucket, next_bucket = 0, 0
    while next_bucket < total:
        bucket = next_bucket
        key = (key * 2862933555777941757 + 1) % 2**64
        next_bucket = int((bucket + 1) * (2**31 / ((key >> 33) + 1)))
    return bucket


def ordinal(pod_name: str) -> int:
    """The number at the end of a pod's name or host name, as a StatefulSet assigns it.

    Raises:
        ValueError: the name does not end in a number.
    """
    match = re.fullmatch(r"[^.]+-(0|[1-9][0-9]{0,4})(\..*)?", pod_name)
    if match is None:
        raise ValueError(f'the pod\'s name "{pod_name}" does not end in a number, as in bybit-exporter-0')
    return int(match[1])
