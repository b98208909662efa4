"""The histogram of durations, which is rendered again when it has changed."""

from __future__ import annotations

import pytest

from bybit_exporter.metrics.request_durations import RequestDurations

COUNT = b'bybit_api_request_duration_seconds_count{endpoint="/v5"} %d.0\n'


@pytest.mark.parametrize("openmetrics", [False, True])
def test_lines_follow_each_request(openmetrics: bool) -> None:
    durations = RequestDurations()
    for count in (1, 2):
        durations.observe("/v5", 0.07)
        lines = durations.lines(openmetrics=openmetrics)
        assert COUNT % count in lines
        assert durations.lines(openmetrics=openmetrics) is lines, "it has not changed"
    assert b'_bucket{endpoint="/v5",le="0.05"} 0.0\n' in lines
    assert b'_bucket{endpoint="/v5",le="0.1"} 2.0\n' in lines
    assert b"_created" not in lines
    assert b"# EOF" not in lines
