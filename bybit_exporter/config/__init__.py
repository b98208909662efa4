"""Reads the configuration: strict YAML to a frozen `Config`, or every problem at once."""

from .api import ApiConfig
from .exporter_config import Config, load
from .schema import ConfigError

__all__ = ["ApiConfig", "Config", "ConfigError", "load"]
