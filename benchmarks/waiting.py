"""Many requests that wait, and the worker that holds them."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from clearance import ApprovalClient
from clearance.away import persistently

from .inbox import a_request
from .running import COMMAND, started

AT_ONCE = 50
"""Calls under way at the same time."""

MEGABYTE = 1_000_000


async def each(work: Callable[[int], Awaitable[object]], numbers: Iterable[int]) -> None:
    """Do it with every number, some at once."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with free:
            await work(number)

    await asyncio.gather(*map(one, numbers))


async def fill(approvals: ApprovalClient, numbers: Iterable[int], stem: str = "waiting") -> None:
    """Ask for them; return when each one's workflow has answered a question."""

    async def ask(number: int) -> None:
        id = f"{stem}-{number}"  # a disk that doesn't keep up must not end minutes of work
        await persistently(lambda: approvals.request(a_request(number), id=id))
        await persistently(lambda: approvals.get(id))

    await each(ask, numbers)


@asynccontextmanager
async def approvals_worker(
    environment: Mapping[str, str],
) -> AsyncIterator[tuple[asyncio.subprocess.Process, psutil.Process]]:
    """``clearance worker --only approvals``."""
    command = (COMMAND, "worker", "--only", "approvals")
    async with started(*command, says="approvals on", environment=dict(environment)) as (it, _):
        yield it, psutil.Process(it.pid)


@asynccontextmanager
async def bare_worker(environment: Mapping[str, str]) -> AsyncIterator[psutil.Process]:
    """The bare pattern's."""
    command = (sys.executable, "-m", "benchmarks.bare")
    async with started(*command, says="ready", environment=dict(environment)) as (it, _):
        yield psutil.Process(it.pid)


def own_memory(process: psutil.Process) -> int:
    """Bytes that would be free without it (USS)."""
    return int(process.memory_full_info().uss)


def peak(process: psutil.Process) -> int:
    """The most bytes of memory that it ever held (RSS)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = (one for one in status.splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) * 1_024
