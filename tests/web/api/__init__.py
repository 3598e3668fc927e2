"""The HTTP API, as services call it."""
