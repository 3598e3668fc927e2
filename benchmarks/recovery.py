"""From a worker's ``kill -9`` to the first decision in effect: ``python -m benchmarks.recovery``.

The worker holds everything that waits in memory, and dies with it. How long until a decision counts that
is made half a second later, where another worker is there already, and where one is started anew at the
kill, its start included; and one that is made in the very moment of the kill. The server may give that
one to the dead worker, whose connection it still takes for open: it offers the task again when the time
of a workflow task is over, ten seconds.
"""

import asyncio
import sys
from contextlib import AsyncExitStack
from typing import Any

from clearance import ApprovalClient, contract

from .contenders import REQUEST
from .engine import Engine, engine
from .measuring import Size, about, moment, percentile, progress, size, table
from .running import started
from .waiting import each

WAITING = 100
ROUNDS = 5
AIM = 3.0
"""Seconds."""


def worker(server: Engine) -> Any:
    """An approvals worker in a process of its own, which may be killed."""
    known = {
        "TEMPORAL_ADDRESS": server.address,
        "CLEARANCE_STATE": str(server.folder / "state"),
        "CLEARANCE_RECONCILE_EVERY": "never",
    }
    return started(sys.executable, "-m", "benchmarks.ours", says="ready", environment=known)


async def killed(server: Engine, *, another: bool, after: float, wanted: Size) -> float:
    """Seconds from a decision, so long after the kill, to its effect; or, where the worker is started
    anew, from the kill."""
    approvals = ApprovalClient(server.client, task_queue=contract.APPROVALS_QUEUE)
    async with AsyncExitStack() as stack:
        process, _ = await stack.enter_async_context(worker(server))
        asked: list[str] = []

        async def ask(_: int) -> None:
            id = (await approvals.request(REQUEST)).id
            await approvals.get(id)  # a worker tells it: it is in memory
            asked.append(id)

        async def leave(number: int) -> None:
            await server.client.get_workflow_handle(asked[number]).terminate()

        await each(ask, range(wanted.of(WAITING, 3)))
        if another:
            await stack.enter_async_context(worker(server))
        process.kill()
        start = moment()
        await asyncio.sleep(after)
        if another:
            start = moment()
        deciding = asyncio.create_task(approvals.approve(asked[-1], reviewer="ada@example.com"))
        if not another:
            await stack.enter_async_context(worker(server))
        await deciding
        await approvals.wait(asked[-1])
        took = (moment() - start) / 1e9
        await each(leave, range(len(asked) - 1))
    return took


async def main() -> None:
    """Measure and print."""
    wanted, rows = size(), []
    async with engine() as server:
        for name, another, after in (
            ("another worker is there", True, 0.5),
            ("it is started anew, from the kill", False, 0.5),
            ("another is there, decided at the kill", True, 0.0),
        ):
            took = []
            for number in range(wanted.of(ROUNDS, 1)):
                took.append(await killed(server, another=another, after=after, wanted=wanted))
                progress(f"{name}, round {number + 1}: {took[-1]:.2f} s")
            rows.append((name, f"{percentile(took, 50):.2f}", f"{max(took):.2f}", f"{AIM:.0f}"))
    table((f"killed with {wanted.of(WAITING, 3)} waiting", "median s", "worst s", "aim"), rows)
    about()


if __name__ == "__main__":
    asyncio.run(main())
