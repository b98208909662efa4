"""Properties that hold for any input: a few examples in the test suite, many with ``python -m tests.fuzz``."""
