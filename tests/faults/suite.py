"""One run of the suite: traffic, faults, rest, and what the checker says."""

import asyncio
from pathlib import Path
from typing import Any

from .checker import Violation, check, counts
from .evidence import at_rest, gathered, keep_histories
from .faults import Fault, once, play, possible, schedule
from .traffic import Traffic
from .world import World, world

_TO_THE_END = 60.0
"""Seconds that what had begun may take to its end once everything is healed."""


async def suffered(
    folder: Path, seed: int, seconds: float | None, **how: Any
) -> tuple[list[Violation], str]:
    """The violations of a run with as many seconds of faults; and a line that tells what went on.

    Args:
        folder: as ``world`` takes it.
        seed: says what comes when.
        seconds: of faults. None: each of the essential kinds once, and one other; then
            nobody waits at the end for all to be told.
        how: what ``world`` takes besides.

    Raises:
        AssertionError: it doesn't come to its end in time; says what of it.
    """
    async with world(folder, **how) as all_of_it:
        kinds = possible(all_of_it)
        if seconds is None:
            return await _suffer(all_of_it, once(seed, kinds), seed, at_once=6, told=False)
        return await _suffer(all_of_it, schedule(seed, kinds, seconds), seed, at_once=6, told=True)


async def _suffer(
    world: World, faults: list[Fault], seed: int, *, at_once: int, told: bool
) -> tuple[list[Violation], str]:
    note = world.journal.note
    client = await world.client(world.environment["TEMPORAL_ADDRESS"])
    traffic = Traffic(world, client, seed)
    going_on = asyncio.ensure_future(traffic.run(at_once))
    try:
        await play(world, faults, seed)
        traffic.stop()
        note("stage", name="healing")
        await world.heal()
        note("stage", name="to the end")
        await asyncio.wait({going_on}, timeout=_TO_THE_END)
        assert going_on.done(), f"not over after {_TO_THE_END} s: {sorted(traffic.under_way)}"
        await going_on
        note("stage", name="to rest")
        await at_rest(world, told=told)
    except BaseException:
        await keep_histories(world)
        raise
    finally:
        going_on.cancel()
        await asyncio.wait({going_on})
    note("stage", name="gathering")
    shown, journal = await gathered(world), world.journal.entries()
    violations = check(journal, shown)
    note("stage", name="checked")
    return violations, f"{counts(journal, shown)}, violations {len(violations)}"
