"""The state of each account, and its text in the exposition formats."""
