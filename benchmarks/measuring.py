"""What benchmarks share: a clock that all processes read, arguments, and how results look."""

import argparse
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cli import embedded


def moment() -> int:
    """Nanoseconds on the machine's own clock (``CLOCK_MONOTONIC``): every process reads the same one.

    A workflow may call it, imported past the sandbox, for its result alone: a history that is read
    again has the result of the first time.
    """
    return time.monotonic_ns()


@dataclass(frozen=True)
class Size:
    """How much to measure."""

    quick: bool

    def of(self, usual: int, quick: int) -> int:
        """The usual number, or that of a run which only shows that the benchmark works."""
        return quick if self.quick else usual


def size() -> Size:
    """As the command line says: ``--quick`` is the smallest run there is."""
    parser = argparse.ArgumentParser(prog=f"python -m {_module()}")
    parser.add_argument("--quick", action="store_true", help="the smallest run; no figures to keep")
    return Size(quick=parser.parse_args().quick)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent of these don't exceed; of few values, the next one of them."""
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their titles, the first column to the left and the others to the right."""
    lines = [tuple(titles), *(tuple(row) for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for name, *figures in lines:
        cells = [f"{cell:>{width}}" for cell, width in zip(figures, widths[1:], strict=True)]
        print("  ".join([f"{name:{widths[0]}}", *cells]).rstrip(), flush=True)


def progress(said: str) -> None:
    """Say on standard error, with the time of day, what a long benchmark does now."""
    print(f"{time.strftime('%H:%M:%S')} {said}", file=sys.stderr, flush=True)


def about(*packages: str) -> None:
    """Print what it was measured on, with these packages' versions, and by which command."""
    server = subprocess.run(
        [embedded.temporal_command(), "--version"], capture_output=True, text=True, check=True
    ).stdout
    said = [f"{name} {importlib.metadata.version(name)}" for name in ("temporalio", *packages)]
    said += [f"Python {platform.python_version()}", f"{os.cpu_count()} cores", platform.system()]
    print(f"\n{', '.join(said)}; {server.strip()}\nuv run python -m {_module()}")


def _module() -> str:
    """The benchmark that runs, as ``python -m`` takes it."""
    spec = sys.modules["__main__"].__spec__
    return spec.name if spec else "benchmarks"
