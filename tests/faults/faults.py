"""What goes wrong, and when: a schedule that a seed tells, and the hands that carry it out."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from .world import World


class Fault(NamedTuple):
    """One that is to come."""

    kind: str
    after: float
    """Seconds after the one before it has begun."""
    lasts: float
    """Seconds until it is mended."""


ESSENTIAL = {
    *("kill a worker", "kill all workers", "kill the server", "kill the inbox"),
    *("kill mail", "kill webhook", "cut the connection"),
}


def schedule(seed: int, kinds: list[str], seconds: float) -> list[Fault]:
    """The same for the same seed: every kind before any comes again, until so many seconds are over.

    They come in bursts, in which one begins while others last, and between which there is time to work.
    """
    chance, found, over = random.Random(seed), list[Fault](), 0.0  # noqa: S311 - hides nothing
    while over < seconds:
        for kind in chance.sample(kinds, len(kinds)):
            pause = chance.choice([chance.uniform(0.1, 1.5), chance.uniform(3.0, 8.0)])
            one = Fault(kind, pause, chance.uniform(0.3, 3.0))
            over += one.after
            if over >= seconds:
                break
            found.append(one)
    return found


def once(seed: int, kinds: list[str]) -> list[Fault]:
    """The essential kinds in an order that the seed tells, and one of the others in turn; quickly."""
    chance = random.Random(seed)  # noqa: S311
    others = [one for one in kinds if one not in ESSENTIAL]
    found = [one for one in kinds if one in ESSENTIAL] + others[seed % max(len(others), 1) :][:1]
    return [
        Fault(kind, chance.uniform(0.4, 2.0), chance.uniform(0.3, 1.5))
        for kind in chance.sample(found, len(found))
    ]


def possible(world: World) -> list[str]:
    """The kinds that can be done here."""
    kinds = ["kill a worker", "kill all workers", "kill the server", "kill mail", "kill webhook"]
    kinds += ["kill the inbox"] if "inbox" in world.programs else []
    kinds += ["cut the connection", "delay the connection"]
    kinds += ["kill the ledger"] if world.postgresql else []
    kinds += ["fill the state's disk"] if world.state.mounted else []
    kinds += ["fill the server's disk"] if world.temporal.mounted else []
    kinds += ["clock forward", "clock back"] if world.clock.available else []
    return kinds


async def play(world: World, faults: list[Fault], seed: int) -> None:
    """Let all of them happen, and note each as it begins and as it is mended."""
    chance, under_way = random.Random(seed), set[str]()  # noqa: S311

    async def one(fault: Fault) -> None:
        words = fault.kind.split()
        if (subject := words[0] if words[0] == "clock" else words[-1]) in under_way:
            return  # a clock is put wrong once at a time, and a process killed once
        under_way.add(subject)
        try:
            async with _happening(world, fault.kind, chance):
                world.journal.note("fault", kind=fault.kind)
                await asyncio.sleep(fault.lasts)
            world.journal.note("healed", kind=fault.kind)
        finally:
            under_way.discard(subject)

    over = asyncio.Event()  # no start of a program is broken off
    supervising = asyncio.ensure_future(_supervise(world, over))
    try:
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                await asyncio.sleep(fault.after)
                group.create_task(one(fault))
    finally:
        over.set()
        await supervising


async def _supervise(world: World, over: asyncio.Event) -> None:
    """Start again what ended by itself, as a service manager does: a worker that can't reach Temporal."""
    while not over.is_set():
        for program in world.programs.values():
            if not (program.is_running or program.is_held):
                await program.start()
        await asyncio.sleep(0.5)


@asynccontextmanager
async def _happening(world: World, kind: str, chance: random.Random) -> AsyncIterator[None]:
    begin, mend = _hands(world, kind, chance)
    await begin()
    try:
        yield
    finally:
        await mend()


Hand = Callable[[], Awaitable[None]]


def _hands(world: World, kind: str, chance: random.Random) -> tuple[Hand, Hand]:
    """What brings a fault about, and what mends it."""
    workers = sorted(name for name in world.programs if name.startswith("worker"))
    killed = {
        "kill a worker": [chance.choice(workers)] if workers else [],
        "kill all workers": workers,
        "kill the server": ["server"],
        "kill mail": ["mail"],
        "kill webhook": ["webhook"],
        "kill the inbox": ["inbox"],
    }
    if kind in killed:
        some = [world.programs[name] for name in killed[kind]]
        return _each([one.kill for one in some]), _each([one.start for one in some])
    if kind == "kill the ledger":
        assert world.postgresql is not None
        return world.postgresql.kill, world.postgresql.start
    if kind == "fill the server's disk":  # which may end the server
        mend = _each([_async(world.temporal.free), world.programs["server"].start])
        return _async(world.temporal.fill), mend
    steps: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
        "cut the connection": (world.proxy.cut, world.proxy.heal),
        "delay the connection": (
            lambda: _delay(world, chance.uniform(0.05, 0.4)),
            world.proxy.heal,
        ),
        "fill the state's disk": (world.state.fill, world.state.free),
        "clock forward": (
            lambda: world.clock.set(chance.randint(60, 600)),
            lambda: world.clock.set(0),
        ),
        "clock back": (
            lambda: world.clock.set(-chance.randint(60, 600)),
            lambda: world.clock.set(0),
        ),
    }
    begin, mend_now = steps[kind]
    return _async(begin), _async(mend_now)


def _delay(world: World, seconds: float) -> None:
    world.proxy.delay = seconds


def _async(step: Callable[[], None]) -> Hand:
    async def take() -> None:
        step()

    return take


def _each(steps: list[Hand]) -> Hand:
    async def take() -> None:
        for step in steps:
            await step()

    return take
