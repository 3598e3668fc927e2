"""Decision to resumed, beside the bare pattern and others: ``python -m benchmarks.resumed``.

The time from just before the decider's call to the first line that runs after the wait, both read
from the machine's one monotonic clock (``measuring.moment``); the workflow returns what it read, so
that nothing is sent, stored or polled to measure it. Of an agent it is the time to its model's next
turn, which is an activity; beside it stands the bare pattern to its next activity.

In turns, one decision at a time, on one embedded server on a file, workers in processes of their own.
Only who polls is decided at random moments, many at once: else it would take an hour.
"""

import asyncio
import random
from collections.abc import Sequence

from clearance import ApprovalClient, contract

from .contenders import (
    Contender,
    agent_by_signal,
    bare_by_signal,
    bare_by_update,
    ours_by_client,
    ours_by_signal,
)
from .engine import Engine, engine
from .measuring import Size, about, moment, percentile, progress, size, table
from .others import others, polling

ROUNDS = 100
TOGETHER = 20
"""Of each, so many wait before the first is decided."""

AIMS = {"Clearance, signal": 1.3, "Clearance, ApprovalClient.approve": 2.0}
"""Times the bare pattern by signal, at most."""

MEDIANS = {"Clearance, signal": 25.0}
"""Milliseconds, at most: out of the box, which is what is measured here."""

_ACTS = ", to its next activity"
_TO_AN_ACTIVITY = (f"bare, signal{_ACTS}", "Clearance, signal, to an agent's next turn")

Took = dict[str, list[float]]


async def once(contender: Contender, id: str) -> float:
    """Decide one that waits; milliseconds until it went on."""
    start = moment()
    await contender.decide(id)
    return (await contender.resumed(id) - start) / 1e6


async def in_turns(
    contenders: Sequence[Contender], rounds: int, *, prefix: str = "resumed"
) -> Took:
    """Milliseconds of each, one after the other, round by round; a round before the first warms up."""
    took: Took = {one.name: [] for one in contenders}
    for first in range(0, rounds + 1, TOGETHER):
        names = [f"{number}" for number in range(first, min(first + TOGETHER, rounds + 1))]
        asked = [(one, f"{prefix}-{k}-{n}") for n in names for k, one in enumerate(contenders)]
        for start in range(0, len(asked), TOGETHER):
            await asyncio.gather(*(one.ask(id) for one, id in asked[start : start + TOGETHER]))
        for one, id in asked:
            await one.waits(id)
        for one, id in asked:
            milliseconds = await once(one, id)
            if not id.endswith("-0"):
                took[one.name].append(milliseconds)
        progress(f"{prefix}: {int(names[-1])} of {rounds} rounds")
    return took


async def at_random(contender: Contender, rounds: int, within: float) -> Took:
    """Milliseconds of each, decided at some moment within so many seconds."""

    async def decided(id: str) -> float:
        await contender.ask(id)
        await asyncio.sleep(random.uniform(0, within))  # noqa: S311 - hides nothing
        return await once(contender, id)

    return {contender.name: await asyncio.gather(*(decided(f"resumed-{n}") for n in range(rounds)))}


def report(took: Took) -> None:
    """Print the table; a ratio is to the median of the bare pattern by signal, doing the same."""
    rows = []
    for name, values in took.items():
        base = percentile(took["bare, signal" + (_ACTS if name in _TO_AN_ACTIVITY else "")], 50)
        p50, p99 = percentile(values, 50), percentile(values, 99)
        aim = f"{AIMS[name]:.1f}" if name in AIMS else ""
        most = f"{MEDIANS[name]:.0f}" if name in MEDIANS else ""
        rows.append((name, f"{p50:.1f}", most, f"{p99:.1f}", f"{p50 / base:.2f}", aim))
    table(("decision to resumed", "p50 ms", "aim", "p99 ms", "ratio", "aim"), rows)


async def measured(server: Engine, beside: Sequence[Contender], wanted: Size) -> Took:
    """Of everybody; of those beside us, the last one polls."""
    client, queue = server.client, contract.APPROVALS_QUEUE
    rounds = wanted.of(ROUNDS, 1)
    *instant, polled = beside
    took = await in_turns(
        (
            bare_by_signal(client),
            bare_by_update(client),
            ours_by_signal(client, queue),
            ours_by_client(ApprovalClient(client), queue),
            bare_by_signal(client, acts=True),
            agent_by_signal(client, queue, contract.AGENTS_QUEUE),
            *instant,
        ),
        rounds,
    )
    if not wanted.quick:  # it takes its time whatever the machine
        progress(f"{polled.name}: {rounds}")
        took |= await at_random(polled, rounds, polling.EVERY)
    return took


async def main() -> None:
    """Measure and print."""
    wanted = size()
    async with engine() as server, others(server.folder) as beside:
        await asyncio.gather(
            server.serve("benchmarks.bare"), server.serve("benchmarks.ours", "--agents")
        )
        took = await measured(server, beside, wanted)
    report(took)
    about()


if __name__ == "__main__":
    asyncio.run(main())
