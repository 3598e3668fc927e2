"""What each setting of the embedded server brings: ``python -m benchmarks.tuning``.

The bare pattern by signal, on a file. First what the embedded server is given, one after the other, each
beside all that stands above it; then what was tried besides, each beside all of them. Two servers at a
time, with and without, in turns: whatever else the machine does slows both. Some five minutes.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import count
from typing import NamedTuple

import psutil

from cli import embedded
from cli.settings import EmbeddedServer

from .contenders import Contender, bare_by_signal
from .engine import Engine, engine
from .measuring import Size, about, percentile, progress, size, table
from .resumed import once
from .throughput import AT_ONCE, rate

DECISIONS = 15
ROUNDS = 3
"""Of each server: so many decisions one by one, and 64 approvals 32 at a time, in each round."""

_CONFIG = "--dynamic-config-value="
_PRAGMA = "--sqlite-pragma="

TRIED: tuple[tuple[str, ...], ...] = (
    (
        f"{_CONFIG}matching.numTaskqueueReadPartitions=1",
        f"{_CONFIG}matching.numTaskqueueWritePartitions=1",
    ),
    (f"{_CONFIG}history.visibilityProcessorMaxPollRPS=2000",),
    (f"{_CONFIG}history.timerProcessorMaxPollRPS=2000",),
    (f"{_CONFIG}system.forceSearchAttributesCacheRefreshOnRead=false",),
    (f"{_PRAGMA}mmap_size=268435456",),
    (f"{_PRAGMA}cache_size=-65536",),
    (f"{_PRAGMA}temp_store=memory",),
    (f"{_PRAGMA}wal_autocheckpoint=10000",),
)
"""What could be of use, together where one needs the other."""


class Measured(NamedTuple):
    """Of one server."""

    took: list[float]
    """Milliseconds from the decision to the resumed parent."""
    rates: list[float]
    """Approvals a second, of each round."""
    cpu: list[float]
    """Milliseconds of the server's processor time for one approval, of each round."""


async def beside(without: Sequence[str], added: Sequence[str], wanted: Size) -> list[Measured]:
    """Both servers' figures, without and with what is added, in turns."""
    progress(f"with and without {named(added)}")
    ids = count()
    both = [Measured([], [], []), Measured([], [], [])]
    each = wanted.of(2 * AT_ONCE, 2)
    async with AsyncExitStack() as stack:
        contenders, servers = [], []
        for tuning in (without, (*without, *added)):
            server = await stack.enter_async_context(engine(tuning))
            await server.serve("benchmarks.bare")
            contenders.append(bare_by_signal(server.client))
            servers.append(server)
        for contender in contenders:
            await rate(contender, wanted.of(AT_ONCE, 2), ids)  # warms up
        for _ in range(wanted.of(ROUNDS, 1)):
            for contender, server, found in zip(contenders, servers, both, strict=True):
                before = spent(server)
                found.rates.append(await rate(contender, each, ids))
                found.cpu.append((spent(server) - before) * 1_000 / each)
                found.took.extend(await decided(contender, wanted.of(DECISIONS, 2), ids))
    return both


def spent(server: Engine) -> float:
    """Seconds of processor time of the server so far."""
    found = EmbeddedServer.find(server.folder / "state")
    assert found is not None
    guard = psutil.Process(found.pid)
    times = [one.cpu_times() for one in (guard, *guard.children(recursive=True))]
    return sum(one.user + one.system for one in times)


async def decided(contender: Contender, decisions: int, ids: "count[int]") -> list[float]:
    """Milliseconds of so many, one after the other."""
    names = [f"tuning-{next(ids)}" for _ in range(decisions)]
    await asyncio.gather(*(contender.ask(name) for name in names))
    for name in names:
        await contender.waits(name)
    return [await once(contender, name) for name in names]


def row(name: str, without: Measured, found: Measured) -> tuple[str, ...]:
    """A line of the table; the ratios are to the server without it, above 1 is better."""
    median, rate, cpu = (percentile(one, 50) for one in found)
    before = [percentile(one, 50) for one in without]
    return (
        name,
        f"{median:.1f}",
        f"{percentile(found.took, 99):.1f}",
        f"{rate:.1f}",
        f"{cpu:.1f}",
        f"{before[0] / median:.2f}",
        f"{rate / before[1]:.2f}",
        f"{before[2] / cpu:.2f}",
    )


def named(arguments: Sequence[str]) -> str:
    """What the table calls them."""
    return ", ".join(one.removeprefix(_CONFIG).removeprefix(_PRAGMA) for one in arguments)


async def main() -> None:
    """Measure and print."""
    wanted, rows = size(), []
    chosen = embedded.TUNING if not wanted.quick else embedded.TUNING[:1]
    for number, setting in enumerate(chosen):
        without, found = await beside(embedded.TUNING[:number], [setting], wanted)
        if not number:
            rows.append(row("(the development server as it is)", without, without))
        rows.append(row(f"+ {named([setting])}", without, found))
    figures = ("p50 ms", "p99 ms", "a second", "CPU ms", "quicker", "more", "cheaper")
    table(("setting", *figures), rows)
    print(flush=True)
    rows = []
    for tried in TRIED if not wanted.quick else TRIED[:0]:
        without, found = await beside(embedded.TUNING, tried, wanted)
        rows.append(row(named(tried), without, found))
    table(("beside all of these", *figures), rows)
    about()


if __name__ == "__main__":
    asyncio.run(main())
