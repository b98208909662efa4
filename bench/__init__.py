"""``python -m bench``: the exporter against the thirty lines that a user would otherwise write."""
