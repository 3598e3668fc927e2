"""Side effects, one theme a file. The worker injects what they talk to; each is safe to repeat."""
