"""A refusal of a key is new once for each code, until the key is accepted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from bybit_exporter.model import Secret
from bybit_exporter.polling.refused_keys import RefusedKeys

ONE, OTHER = (Secret("one"), Secret("s")), (Secret("other"), Secret("s"))


def test_refusal_is_new_once_for_each_code_until_the_key_is_accepted() -> None:
    keys = RefusedKeys()
    codes = ["10003", "HTTP 401", "10003", "HTTP 401"]
    assert [keys.add(ONE, code, 5.0) for code in codes] == [True, True, False, False]
    assert keys.add(OTHER, "10003", 6.0)
    assert keys.remove(ONE) == 5.0
    assert keys.remove(ONE) is None
    assert keys.add(ONE, "10003", 7.0)


def test_keys_that_are_not_retained_are_forgotten() -> None:
    keys = RefusedKeys()
    keys.add(ONE, "10003", 5.0)
    keys.add(OTHER, "10003", 5.0)
    keys.retain([OTHER])
    assert keys.add(ONE, "10003", 6.0)
    assert not keys.add(OTHER, "10003", 6.0)


def test_keys_are_retained_while_jobs_add_and_remove_them() -> None:
    """A reload runs at the same time as the jobs."""
    keys = RefusedKeys()

    def flap(thread: int) -> None:
        for number in range(2000):
            credentials = (Secret(f"{thread}/{number % 50}"), Secret("s"))
            keys.add(credentials, "10003", 0.0)
            keys.remove(credentials)

    with ThreadPoolExecutor(4) as pool:
        flapping = [pool.submit(flap, thread) for thread in range(4)]
        while not all(each.done() for each in flapping):
            keys.retain([ONE])
        for each in flapping:
            each.result()
