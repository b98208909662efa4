"""The HTTP server: web configuration, TLS, authentication, limits on clients. It does not depend on Bybit."""
