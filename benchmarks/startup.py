"""How long commands take to start: ``python -m benchmarks.startup [--quick]``.

Each is a process of its own, in turns. ``wall`` is from its start to its end, ``cpu`` its processor time.
``own``, which the aims are for, is ``wall`` without what Temporal's answers took: a connection and the
same list, by a process that has long been running, are subtracted.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from clearance import ApprovalClient, connect
from cli import embedded

from .measuring import about, progress, size, table
from .running import COMMAND

AIMS: Final = {"clearance --help": 150, "clearance pending": 400}
"""Milliseconds of our own, by the clock on the wall of a quiet machine."""


class Took(NamedTuple):
    """What a process took, in milliseconds."""

    wall: float
    cpu: float


def once(command: list[str], environment: Mapping[str, str]) -> Took:
    """Run it to its end."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Took(wall * 1_000, (used.ru_utime + used.ru_stime) * 1_000)


async def answered(address: str) -> float:
    """Milliseconds until a process that runs already is connected and has the list."""
    start = time.perf_counter()
    client = ApprovalClient(await connect({"target_host": address}))
    _ = [one async for one in client.pending()]
    return (time.perf_counter() - start) * 1_000


async def measure(rounds: int) -> tuple[dict[str, list[Took]], list[float]]:
    """Each command's times, and those of Temporal's answers."""
    completes = {"_CLEARANCE_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    commands: dict[str, tuple[list[str], dict[str, str]]] = {
        "python -c pass": ([sys.executable, "-c", "pass"], {}),
        "import temporalio.client": ([sys.executable, "-c", "import temporalio.client"], {}),
        "clearance --help": ([COMMAND, "--help"], {}),
        "clearance pe<Tab>": ([COMMAND], completes | {"COMP_WORDS": "clearance\npe"}),
        "clearance pending": ([COMMAND, "pending"], {}),
    }
    took: dict[str, list[Took]] = {name: [] for name in commands}
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        async with embedded.server(Path(folder), in_memory=True, ports=(0, 0)) as server:
            for number in range(rounds + 1):  # the first fills the caches of files
                progress(f"round {number} of {rounds}")
                for name, (command, environment) in commands.items():
                    there = {"TEMPORAL_ADDRESS": server.address, "CLEARANCE_STATE": folder}
                    one = await asyncio.to_thread(once, command, there | environment)
                    took[name] += [one] if number else []
                answers += [await answered(server.address)] if number else []
    return took, answers


def show(took: Mapping[str, list[Took]], answers: list[float]) -> None:
    """Print the table: medians."""
    rpc = statistics.median(answers)
    rows = []
    for name, times in took.items():
        wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        own = wall - (rpc if name == "clearance pending" else 0)
        rows.append((name, *(f"{one:.0f}" for one in (wall, cpu, own)), str(AIMS.get(name, ""))))
    table(("ms, median", "wall", "cpu", "own", "aim for own"), rows)
    print(f"\nTemporal's answers to clearance pending: {rpc:.0f} ms")
    about()


if __name__ == "__main__":
    show(*asyncio.run(measure(size().of(15, 3))))
