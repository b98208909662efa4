"""The HTTP server: web configuration, TLS, authentication, limits on clients. Nothing here knows Bybit."""
