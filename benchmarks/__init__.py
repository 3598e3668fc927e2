"""Runnable comparisons, each printing ratios: ``python -m benchmarks.<name>``."""
