"""The inbox and the HTTP API, over real connections."""
