"""The inbox and the HTTP API: what reviewers open in a browser, and other services call."""
