"""The web side: what Prometheus and people see."""
