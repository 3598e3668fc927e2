"""Approvals a second, beside the bare pattern and others: ``python -m benchmarks.throughput``.

At any time 32 are under way. Each is asked for, decided as soon as it is there (who decides knows its id,
and looks after 20 ms, 40, 80, ... 200), and has gone on and ended before the next one takes its place. On
one embedded server on a file, workers in processes of their own; in turns, some rounds of each, of which
the median counts.
"""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import count, repeat

import psutil

from clearance import ApprovalClient, contract

from .contenders import (
    Contender,
    OnTemporal,
    bare_by_signal,
    bare_by_update,
    ours_by_client,
    ours_by_signal,
)
from .engine import Engine, engine
from .measuring import Size, about, moment, percentile, progress, size, table
from .others import others

AT_ONCE = 32
EACH = 64
"""Approvals of one contender in one round."""
ROUNDS = 3

Rates = dict[str, tuple[float, float | None]]
"""By name: approvals a second; milliseconds of processor time that each took of all processes together,
server, worker and decider, where that is known. It says more than the rate where the machine is busy."""

AIM = 0.7
"""How many times the bare pattern's, at least."""


async def rate(contender: Contender, approvals: int, ids: Iterator[int]) -> float:
    """So many approvals, 32 at a time: how many a second."""
    left = repeat(None, approvals)

    async def work() -> None:
        for _ in left:
            id = f"throughput-{next(ids)}"
            await contender.ask(id)
            await contender.decide(id)
            await contender.resumed(id)

    start = moment()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return approvals * 1e9 / (moment() - start)


def processor_seconds() -> float:
    """What this process and all that it has started have taken of the processors so far."""
    here = psutil.Process()
    times = [one.cpu_times() for one in (here, *here.children(recursive=True))]
    return sum(one.user + one.system for one in times)


async def in_turns(contenders: Sequence[Contender], rounds: int, each: int) -> Rates:
    """The median rate of each; a round before the first one warms up."""
    ids = count()
    rates: dict[str, list[float]] = {one.name: [] for one in contenders}
    spent = dict.fromkeys(rates, 0.0)
    for contender in contenders:
        await rate(contender, min(AT_ONCE, each), ids)
    for number in range(rounds):
        for contender in contenders:
            progress(f"round {number + 1} of {rounds}: {contender.name}")
            before = processor_seconds()
            rates[contender.name].append(await rate(contender, each, ids))
            spent[contender.name] += processor_seconds() - before
    return {
        one.name: (
            percentile(rates[one.name], 50),
            # A database that isn't ours to start is in nobody's processes.
            spent[one.name] * 1e3 / (rounds * each) if isinstance(one, OnTemporal) else None,
        )
        for one in contenders
    }


def report(rates: Rates) -> None:
    """Print the table; a ratio is to the first row."""
    base, cpu_base = next(iter(rates.values()))
    rows = []
    for name, (found, cpu) in rates.items():
        cells = [f"{found:.1f}", f"{found / base:.2f}", f"{AIM}" if "Clearance" in name else ""]
        cells += [f"{cpu:.1f}", f"{cpu / cpu_base:.2f}"] if cpu and cpu_base else ["", ""]
        rows.append((name, *cells))
    titles = ("a second", "ratio", "aim", "CPU ms each", "ratio")
    table((f"request to finished, {AT_ONCE} at a time", *titles), rows)


async def measured(server: Engine, beside: Sequence[Contender], wanted: Size) -> Rates:
    """Of everybody, of a quick run on Temporal only; of those beside us, the last one polls."""
    client, queue = server.client, contract.APPROVALS_QUEUE
    *instant, polled = beside
    contenders = (
        bare_by_signal(client),
        bare_by_update(client),
        ours_by_signal(client, queue),
        ours_by_client(ApprovalClient(client, whole_ids=True), queue),
        *instant[: wanted.of(len(instant), 0)],
    )
    rates = await in_turns(contenders, wanted.of(ROUNDS, 1), wanted.of(EACH, 2))
    if not wanted.quick:  # it takes its time whatever the machine
        rates |= {polled.name: (await rate(polled, 2 * AT_ONCE, count(1_000_000)), None)}
    return rates


async def main() -> None:
    """Measure and print."""
    wanted = size()
    async with engine() as server, others(server.folder) as beside:
        await asyncio.gather(server.serve("benchmarks.bare"), server.serve("benchmarks.ours"))
        rates = await measured(server, beside, wanted)
    report(rates)
    about()


if __name__ == "__main__":
    asyncio.run(main())
