"""All code that is specific to Bybit: requests, errors, and the readers of answers."""
