"""Deterministic code only: no environment, no files, no network, no clock of its own."""
