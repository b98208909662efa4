"""The invented accounts behind ``--demo``: one of each kind that the exporter can read.

No thread runs in the background. Each request first moves its account up to the current time, in steps that depend on
the seed and the time alone. So the same seed and time always give the same figures.
"""

from bybit_exporter.sandbox.demo.accounts import demo_exchange
from bybit_exporter.sandbox.demo.config_file import configuration, configuration_of, configured_total_usd

__all__ = ["configuration", "configuration_of", "configured_total_usd", "demo_exchange"]
