"""What waiting requests take of a worker's memory: ``python -m benchmarks.memory [--quick]``.

1,000 of the bare pattern and of ours, held in memory, and ours with a cache of 50, each in a worker of
its own, on one server; what is counted is a process's own memory (USS), before and after. Then 10,000 on
a worker with a cache of 1,000, of which every twentieth is decided at the end: its peak, which has to
stay below 512 MB, is what the kernel says (VmHWM).
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import psutil
from temporalio.client import Client

from clearance import ApprovalClient, connect
from cli import embedded

from . import bare
from .bare import BareApproval
from .measuring import Size, about, progress, size, table
from .waiting import (
    MEGABYTE,
    approvals_worker,
    bare_worker,
    each,
    fill,
    own_memory,
    peak,
)

AIM_EACH: Final = 100
"""KB."""

AIM_PEAK: Final = 512
"""MB, with 10,000."""


async def held(
    process: psutil.Process, ask: Callable[[int, int], Awaitable[None]], waiting: int
) -> tuple[float, float]:
    """MB before, and KB for each that waits now."""
    warm_up = min(waiting, 100)  # the first fill what the process keeps once for all
    await ask(-warm_up, 0)
    before = own_memory(process)
    await ask(0, waiting)
    return before / MEGABYTE, (own_memory(process) - before) / waiting / 1_000


async def of_bare(client: Client, environment: dict[str, str], waiting: int) -> tuple[float, float]:
    """The bare pattern."""

    async def one(number: int) -> None:
        handle = await client.start_workflow(
            BareApproval.run, "Deploy?", id=f"bare-{number}", task_queue=bare.QUEUE
        )
        assert await handle.query(BareApproval.waits)

    async with bare_worker(environment) as process:
        return await held(process, lambda first, last: each(one, range(first, last)), waiting)


async def of_ours(
    client: Client, environment: dict[str, str], waiting: int, cache: int
) -> tuple[float, float]:
    """Ours, with so large a cache."""
    queue = f"cache-{cache}"
    approvals = ApprovalClient(client, task_queue=queue)
    chosen = {"CLEARANCE_APPROVALS_QUEUE": queue, "CLEARANCE_WORKFLOW_CACHE": str(cache)}
    async with approvals_worker(environment | chosen) as (_, process):
        return await held(
            process, lambda first, last: fill(approvals, range(first, last), queue), waiting
        )


async def many(
    client: Client, environment: dict[str, str], waiting: int, cache: int
) -> tuple[int, int]:
    """So many on one small worker: its peak in bytes, and how many were decided, and took effect."""
    approvals = ApprovalClient(client, task_queue="many")
    chosen = {"CLEARANCE_APPROVALS_QUEUE": "many", "CLEARANCE_WORKFLOW_CACHE": str(cache)}
    decided = range(0, waiting, 20)

    async def decide(number: int) -> None:
        await approvals.approve(f"many-{number}", reviewer="ada@example.com")
        assert (await approvals.wait(f"many-{number}")).approved

    async with approvals_worker(environment | chosen) as (_, process):
        await fill(approvals, range(waiting), "many")
        await each(decide, decided)
        return peak(process), len(decided)


def show(measured: Mapping[str, tuple[float, float]], waiting: int) -> None:
    """Print what each took."""
    base = measured["bare"][1]
    table(
        (f"{waiting:,} waiting", "worker MB", "KB each", "ratio", "aim KB"),
        (
            (name, f"{mb:.0f}", f"{kb:.0f}", f"{kb / base:.2f}", f"{AIM_EACH}" * (name != "bare"))
            for name, (mb, kb) in measured.items()
        ),
    )


async def main(much: Size) -> None:
    """Measure and print."""
    waiting, most = much.of(1_000, 60), much.of(10_000, 200)
    with tempfile.TemporaryDirectory() as folder:
        async with embedded.server(Path(folder), ports=(0, 0)) as server:
            environment = {
                "TEMPORAL_ADDRESS": server.address,
                "CLEARANCE_STATE": folder,
                "CLEARANCE_RECONCILE_EVERY": "never",
            }
            client = await connect({"target_host": server.address})
            progress(f"{waiting:,} of each, three times")
            measured = {
                "bare": await of_bare(client, environment, waiting),
                "ours": await of_ours(client, environment, waiting, cache=2 * waiting),
                "ours, cache 50": await of_ours(client, environment, waiting, cache=50),
            }
            show(measured, waiting)
            progress(f"{most:,} on one worker")
            top, decided = await many(client, environment, most, cache=most // 10)
    print(
        f"\n{most:,} waiting, {most // 10:,} held in memory: at most {top / MEGABYTE:.0f} MB "
        f"(aim {AIM_PEAK}); {decided:,} of them decided, each took effect at once"
    )
    about()


if __name__ == "__main__":
    asyncio.run(main(size()))
