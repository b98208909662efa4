"""The shard of an account: constant, evenly distributed, and few accounts move when a shard is added."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_exporter.sharding import Shard, _jump, ordinal, shard_of

NAMES = [f"account-{number}" for number in range(10_000)]
TEXT = st.text(st.characters(exclude_categories=["Cs"]))

PLACES = {
    "main": (0, 1, 1, 1, 1, 12, 79),
    "treasury": (0, 0, 2, 2, 2, 2, 36),
    "hedge": (0, 0, 0, 0, 7, 9, 74),
    "Übrige": (0, 0, 0, 0, 7, 15, 64),
    "帳戶": (0, 1, 1, 3, 6, 13, 75),
    "": (0, 0, 2, 2, 5, 5, 62),
}
"""With 1, 2, 3, 4, 8, 16 and 100 shards."""


@pytest.mark.parametrize("name", PLACES)
def test_shard_of_an_account_is_the_same_in_every_release(name: str) -> None:
    """Changing this moves accounts while an update is rolled out: some would be asked twice, others not at all."""
    assert tuple(shard_of(name, total) for total in (1, 2, 3, 4, 8, 16, 100)) == PLACES[name]


@pytest.mark.parametrize(
    ("key", "total", "number"), [(1, 1, 0), (42, 57, 43), (0xDEAD10CC, 1, 0), (0xDEAD10CC, 666, 361), (256, 1024, 520)]
)
def test_jump_hash_equals_published_values(key: int, total: int, number: int) -> None:
    """The values that other implementations are tested with."""
    assert _jump(key, total) == number


@given(TEXT, st.integers(1, 500))
def test_account_belongs_to_exactly_one_shard(name: str, total: int) -> None:
    assert [Shard(number, total).has(name) for number in range(total)].count(True) == 1


@given(TEXT, st.integers(1, 500))
def test_account_stays_or_moves_to_the_new_shard_when_one_is_added(name: str, total: int) -> None:
    assert shard_of(name, total + 1) in (shard_of(name, total), total)


@pytest.mark.parametrize("total", [2, 3, 4, 10, 100])
def test_accounts_are_distributed_evenly(total: int) -> None:
    mean = len(NAMES) / total
    shares = Counter(shard_of(name, total) for name in NAMES)
    assert all(abs(shares[number] - mean) < 4 * math.sqrt(mean) for number in range(total))


@pytest.mark.parametrize("total", [1, 2, 4, 9])
def test_added_shard_gets_its_share_and_no_other_shard_grows(total: int) -> None:
    moved = [name for name in NAMES if shard_of(name, total) != shard_of(name, total + 1)]
    mean = len(NAMES) / (total + 1)
    assert abs(len(moved) - mean) < 4 * math.sqrt(mean)


def test_single_shard_has_every_account() -> None:
    assert all(Shard().has(name) for name in NAMES)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("bybit-exporter-0", 0),
        ("bybit-exporter-12", 12),
        ("x-99999", 99999),
        ("bybit-exporter-3.bybit-exporter.money.svc.cluster.local", 3),
    ],
)
def test_ordinal_is_the_number_at_the_end_of_a_pod_s_name(name: str, number: int) -> None:
    assert ordinal(name) == number


@pytest.mark.parametrize(
    "name", ["", "host", "bybit-exporter", "-1", "1", "web-01", "web1", "web-1a", "a.b-1", "web-100000", "web-٣"]
)
def test_ordinal_of_a_name_without_a_number_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="does not end in a number"):
        ordinal(name)
