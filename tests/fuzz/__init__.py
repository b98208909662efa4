"""Properties that hold for any input: a few examples run in the test suite, many with ``python -m tests.fuzz``."""
