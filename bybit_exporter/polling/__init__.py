"""What is asked of the exchange, when, and by which threads."""
