"""Configuration: strict YAML to a frozen `Config`, with every problem at once."""
