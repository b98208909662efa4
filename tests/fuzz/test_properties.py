"""A few examples of every property, the same ones each time; ``make fuzz`` tries many others."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.properties import PROPERTIES, Property


@pytest.mark.parametrize("tested", PROPERTIES.values(), ids=PROPERTIES)
def test_property(tested: Property) -> None:
    few = settings(
        max_examples=150, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    few(given(tested.inputs)(tested.holds))()
