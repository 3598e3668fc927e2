"""What grows with how many requests wait: ``python -m benchmarks.growth [--quick]``.

With 100, with 1,000 and with 10,000 waiting on the embedded server, on a file as ``clearance up`` runs
it, and the worker as it comes (it holds 1,000 in memory): the first page, a request, decisions of the
newest and of the oldest, the worker's memory. With 1,000 of them the worker is killed, started anew, and
all 1,000 are written to until each has answered. Draws ``docs/growth.svg``; ``--quick`` draws nothing.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from clearance import ApprovalClient, ClearanceError, connect, contract
from clearance.filters import pending_query
from cli import embedded

from .growth_chart import draw
from .inbox import a_request
from .measuring import Size, about, progress, size, table
from .running import COMMAND
from .waiting import MEGABYTE, approvals_worker, each, fill

PAGE: Final = 50

WHO: Final = "ada@example.com"

CHART: Final = Path(__file__).parents[1] / "docs" / "growth.svg"

ALL_AGAIN: Final = "killed to all answering, s (aim 30)"

Timed = Callable[[], Awaitable[object]]


async def milliseconds(work: Timed, rounds: int) -> float:
    """The median of so many, after two that warm up."""
    took = []
    for _ in range(rounds + 2):
        start = time.perf_counter()
        await work()
        took.append((time.perf_counter() - start) * 1_000)
    return statistics.median(took[2:])


class Growth:
    """One server, one worker, and what waits there."""

    def __init__(self, approvals: ApprovalClient, environment: dict[str, str], rounds: int) -> None:
        """Nothing waits yet."""
        self.approvals = approvals
        self.environment = environment
        self.rounds = rounds
        self._asked = 0
        self._more = 0
        self._oldest = 0

    async def grow(self, waiting: int) -> None:
        """Ask until so many wait and are listed."""
        asked = self._oldest + waiting
        await fill(self.approvals, range(self._asked, asked))
        while await self.approvals.count() < waiting:
            await asyncio.sleep(0.1)
        self._asked = asked

    async def measured(self, waiting: int) -> dict[str, float]:
        """Medians in milliseconds, by what was done. As many wait afterwards as did before."""
        approvals, first = self.approvals, PAGE
        query = pending_query(queue=contract.APPROVALS_QUEUE)
        decided = iter(range(self.rounds + 2))
        new: list[str] = []

        async def bare_list() -> None:
            await approvals.temporal.list_workflows(query, page_size=first).fetch_next_page()

        async def page() -> None:
            await approvals.page(size=first)

        async def command() -> None:
            process = await asyncio.create_subprocess_exec(
                *(COMMAND, "pending", "--json"),
                env={**os.environ, **self.environment},
                stdout=asyncio.subprocess.DEVNULL,
            )
            assert await process.wait() == 0

        async def ask() -> None:
            self._more += 1
            new.append((await approvals.request(a_request(0), id=f"more-{self._more}")).id)

        async def newest() -> None:
            assert (await approvals.approve(new.pop(), reviewer=WHO)).in_effect

        async def oldest() -> None:
            id = f"waiting-{self._oldest + next(decided)}"
            assert (await approvals.approve(id, reviewer=WHO)).in_effect

        times = {
            "Temporal's list, first page": await milliseconds(bare_list, self.rounds),
            "pending, first page": await milliseconds(page, self.rounds),
            "clearance pending, all": await milliseconds(command, 3),
            "request": await milliseconds(ask, self.rounds),
        }
        for id in new:
            await approvals.get(id)  # by now a worker has seen it
        times["decision, of the newest"] = await milliseconds(newest, self.rounds)
        times["decision, of the oldest"] = await milliseconds(oldest, self.rounds)
        self._oldest += self.rounds + 2
        await self.grow(waiting)
        return times

    async def all_answer(self) -> None:
        """Write to every one that waits, until each has answered."""

        async def one(number: int) -> None:
            while True:
                try:
                    said = await self.approvals.comment(
                        f"waiting-{number}", "Still there?", who=WHO
                    )
                except ClearanceError:
                    continue
                if said.in_effect:
                    return

        await each(one, range(self._oldest, self._asked))


async def main(much: Size) -> None:
    """Measure, print and draw."""
    sizes = (20, 60) if much.quick else (100, 1_000, 10_000)
    killed_at = sizes[1]
    columns: dict[int, dict[str, Any]] = {}
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = await stack.enter_async_context(embedded.server(Path(folder), ports=(0, 0)))
        environment = {
            "TEMPORAL_ADDRESS": server.address,
            "CLEARANCE_STATE": folder,
            "CLEARANCE_RECONCILE_EVERY": "never",
        }
        approvals = ApprovalClient(await connect({"target_host": server.address}))
        growth = Growth(approvals, environment, much.of(30, 3))
        process, seen = await stack.enter_async_context(approvals_worker(environment))
        for waiting in sizes:
            progress(f"{waiting:,} wait soon")
            await growth.grow(waiting)
            progress(f"{waiting:,} wait: measuring")
            columns[waiting] = await growth.measured(waiting)
            columns[waiting]["worker, MB"] = seen.memory_info().rss / MEGABYTE
            if waiting == killed_at:
                progress(f"{waiting:,} wait: killed")
                start = time.perf_counter()
                process.kill()
                await process.wait()
                process, seen = await stack.enter_async_context(approvals_worker(environment))
                await growth.all_answer()
                columns[waiting][ALL_AGAIN] = time.perf_counter() - start
    table(
        ("ms, p50", *(f"{waiting:,} wait" for waiting in sizes)),
        (
            (name, *(f"{columns[at][name]:.1f}" if name in columns[at] else "" for at in sizes))
            for name in columns[killed_at]
        ),
    )
    if not much.quick:
        draw(columns, CHART)
    about()


if __name__ == "__main__":
    asyncio.run(main(size()))
