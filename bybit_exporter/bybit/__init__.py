"""Everything that knows the exchange: how it is asked, and what its answers mean."""
