"""One run of the suite: traffic, faults, rest, and what the checker says."""

import asyncio
from pathlib import Path
from typing import Any

from .checker import Violation, check, counts
from .evidence import at_rest, gathered
from .faults import Fault, play, possible, schedule
from .traffic import Traffic
from .world import World, world

_TO_THE_END = 180.0
"""Seconds that what had begun may take to its end once everything is healed."""


async def suffered(
    folder: Path, seed: int, seconds: float, *, told: bool = True, **how: Any
) -> tuple[list[Violation], str]:
    """The violations of a run with as many seconds of faults; and a line that tells what went on.

    Args:
        folder: as ``world`` takes it.
        seed: says what comes when.
        seconds: of faults.
        told: whether to wait until everybody was told, at the end.
        how: what ``world`` takes besides.
    """
    async with world(folder, **how) as all_of_it:
        faults = schedule(seed, possible(all_of_it), seconds)
        return await suffer(all_of_it, faults, seed, told=told)


async def suffer(
    world: World, faults: list[Fault], seed: int, *, told: bool
) -> tuple[list[Violation], str]:
    """As ``suffered``, in a world that is there, with these faults."""
    client = await world.client(world.environment["TEMPORAL_ADDRESS"])
    traffic = Traffic(world, client, seed)
    going_on = asyncio.ensure_future(traffic.run())
    try:
        await play(world, faults, seed)
        await world.heal()
        traffic.stop()
        async with asyncio.timeout(_TO_THE_END):
            await going_on
        await at_rest(world, told=told)
    finally:
        going_on.cancel()
        await asyncio.wait({going_on})
    shown, journal = await gathered(world), world.journal.entries()
    violations = check(journal, shown)
    return violations, f"{counts(journal, shown)}, violations {len(violations)}"
