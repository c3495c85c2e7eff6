"""The web side of an exporter: routes, content negotiation, authentication and the server."""
