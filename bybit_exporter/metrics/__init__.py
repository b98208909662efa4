"""What is known of each account, and its text in the exposition formats."""
