"""The metrics of the exporter itself, one row each; rendered at each scrape."""

from __future__ import annotations

import platform

from .. import REVISION, __version__
from .exposition import Family, label, optional
from .state import ExporterState

_BUILD = "".join(
    [label("python_version", platform.python_version()), label("revision", REVISION), label("version", __version__)]
)

EXPORTER_FAMILIES: tuple[Family[ExporterState], ...] = (
    Family(
        "bybit_api_clock_offset_seconds",
        "gauge",
        "The exchange's clock minus this machine's, from the latest answer.",
        (),
        optional(lambda s: s.clock_offset_seconds),
    ),
    Family(
        "bybit_exporter_build_info",
        "gauge",
        "Always 1; the labels say what is running.",
        ("python_version", "revision", "version"),
        lambda _: [(_BUILD, 1)],
    ),
    Family(
        "bybit_exporter_config_last_reload_successful",
        "gauge",
        "1 if the configuration was read without error the last time it was read, else 0.",
        (),
        lambda s: [("", s.config_reload_successful)],
    ),
    Family(
        "bybit_exporter_config_last_reload_success_timestamp_seconds",
        "gauge",
        "Unix time at which the configuration was last read without error.",
        (),
        lambda s: [("", s.config_reload_success_timestamp)],
    ),
    Family(
        "bybit_exporter_shard_info",
        "gauge",
        "Always 1; the labels say which share of the accounts this process polls, counted from 0.",
        ("shard", "total_shards"),
        lambda s: [(label("shard", str(s.shard)) + label("total_shards", str(s.total_shards)), 1)],
    ),
)
