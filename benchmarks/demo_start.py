"""Seconds from ``clearance demo`` to its question: ``uv run python -m benchmarks.demo_start``.

Everything is included: the embedded server on a new database, the worker, the agent's first turns.
"""

import statistics
import sysconfig
import tempfile
import time
from pathlib import Path

import pexpect

ROUNDS = 5


def once() -> float:
    """One demo in an empty folder, left at its question."""
    command = str(Path(sysconfig.get_path("scripts")) / "clearance")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        child = pexpect.spawn(command, ["demo"], cwd=folder, encoding="utf-8", timeout=60)
        child.expect(r"\[r\]eject: ")
        seconds = time.perf_counter() - start
        child.sendintr()
        child.expect(pexpect.EOF)
        child.close()
    return seconds


def main() -> None:
    """Print every round and the median."""
    rounds = [once() for _ in range(ROUNDS)]
    print("seconds to the question:", *(f"{seconds:.1f}" for seconds in rounds))
    print(f"median: {statistics.median(rounds):.1f}")


if __name__ == "__main__":
    main()
