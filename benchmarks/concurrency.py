"""What a worker's concurrency brings: decisions a second, and memory, as each setting is changed.

``python -m benchmarks.concurrency``. One server, one run, one worker at a time in a process of its own,
each on a queue of its own; every setting is changed alone, from how the worker is out of the box. As a
program with arguments it is that worker: ``NAME=VALUE`` of ``temporalio.worker.Worker``.
"""

import asyncio
import itertools
import os
import signal
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import psutil
from temporalio.worker import PollerBehaviorAutoscaling, Worker

from clearance import ApprovalClient

from .engine import Engine, engine
from .measuring import about, progress, size, table

_POLLERS = "workflow_task_poller_behavior"

CHANGED: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "5 workflow tasks at once": ("max_concurrent_workflow_tasks=5",),
    "200 workflow tasks at once": ("max_concurrent_workflow_tasks=200",),
    "2 pollers": ("max_concurrent_workflow_task_polls=2",),
    "20 pollers": ("max_concurrent_workflow_task_polls=20",),
    "autoscaling pollers": (f"{_POLLERS}=autoscaling",),
    "cache of 20": ("CLEARANCE_WORKFLOW_CACHE=20",),
    "no cache": ("CLEARANCE_WORKFLOW_CACHE=0",),
}
"""What is changed, in words, and how: an option of the worker, or a variable."""

AT_ONCE = 32


async def measure(on: Engine, changes: tuple[str, ...], queue: str, each: int) -> tuple[float, int]:
    """Decisions a second, 32 at a time, and the worker's memory after them in bytes."""
    variables = dict(one.split("=") for one in changes if one.startswith("CLEARANCE_"))
    options = [one for one in changes if not one.startswith("CLEARANCE_")]
    known = {process.pid for process in psutil.Process().children()}
    variables |= {"CLEARANCE_APPROVALS_QUEUE": queue}
    await on.serve("benchmarks.concurrency", "serve", *options, environment=variables)
    (process,) = (one for one in psutil.Process().children() if one.pid not in known)
    patient = timedelta(seconds=60)
    client = ApprovalClient(on.client, task_queue=queue, whole_ids=True, answer_timeout=patient)
    slots = asyncio.Semaphore(AT_ONCE)

    async def ask(id: str) -> None:
        async with slots:
            await client.request("Deploy?", id=id)

    async def decide(id: str) -> None:
        async with slots:
            receipt = await client.approve(id, reviewer="ada")
            assert receipt.in_effect

    ids = [f"{queue}-{number}" for number in range(each)]
    await asyncio.gather(*map(ask, ids))
    begun = time.perf_counter()
    await asyncio.gather(*map(decide, ids))
    rate = each / (time.perf_counter() - begun)
    memory = process.memory_info().rss
    process.send_signal(signal.SIGTERM)
    return rate, memory


async def main() -> None:
    """Measure all, and print the table."""
    each = size().of(100, 20)
    found: dict[str, tuple[float, int]] = {}
    async with engine() as on:
        queues: Iterator[str] = (f"queue-{number}" for number in itertools.count())
        await measure(on, (), next(queues), each)  # the server's first are slower
        for words, changes in CHANGED.items():
            progress(words)
            found[words] = await measure(on, changes, next(queues), each)
    about()
    usual = found["as it is"][0]
    table(
        ("changed", "decisions/s", "ratio", "worker MB"),
        [
            (words, f"{rate:.1f}", f"{rate / usual:.2f}", f"{memory / 1e6:.0f}")
            for words, (rate, memory) in found.items()
        ],
    )


async def serve(options: list[str]) -> None:
    """The worker as it is, with these options, until it is told to stop."""
    import worker
    from cli.settings import Settings

    how: dict[str, Any] = {}
    for name, value in (one.split("=") for one in options):
        how[name] = PollerBehaviorAutoscaling() if value == "autoscaling" else int(value)
    vars(worker)["Worker"] = partial(Worker, **how)  # so that the process is else what it always is
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    address = os.environ["TEMPORAL_ADDRESS"]
    async with worker.running(Settings(), {"target_host": address}, only="approvals"):
        print("ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[2:]) if sys.argv[1:2] == ["serve"] else main())
