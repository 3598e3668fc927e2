"""A ledger that may be away: opened when it is needed, and left alone for a while after it failed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from time import monotonic
from typing import Any, Self, TypeVar

from store.engine import CannotStore, NoDatabase

from .ledger import Ledger
from .reading import LedgerAway

log = logging.getLogger("clearance.ledger")

T = TypeVar("T")

_PATIENCE = 1.5
"""Seconds that somebody waits for an answer."""

_LONGEST = 60.0
"""Seconds that a database may take for something nobody waits for any more."""

_PAUSES = (10.0, 20.0, 40.0, 60.0)
"""Seconds for which it is left alone, after so many failures in a row."""


class Breaker:
    """One ledger for a whole process. While it is away, whoever asks learns so at once."""

    def __init__(self, address: str, *, create: bool = True) -> None:
        """Nothing is opened yet.

        Args:
            address: as ``Ledger.open`` takes it.
            create: whether to make a ledger where there is none.
        """
        self._address = address
        self._create = create
        self._closing = AsyncExitStack()
        self._turn = asyncio.Lock()
        self._ledger: Ledger | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._failures = 0
        self._until = 0.0
        self._reason = ""

    async def __aenter__(self) -> Self:
        """Ready; it opens by itself."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close it, after what is under way, or has had its time."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_PATIENCE)
        for one in self._under_way:
            one.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._closing.aclose()

    def warm_up(self) -> None:
        """Open it beside whatever else is to be done, so that nobody who asks waits for that."""
        self._start(self._within(Ledger.head))

    async def ask(self, work: Callable[[Ledger], Awaitable[T]]) -> T:
        """Do something with the ledger, for at most a second and a half.

        What takes longer goes on, and may still succeed; only nobody waits for it.

        Raises:
            LedgerAway: it is away, was so a moment ago, or takes too long.
            NoDatabase: there is none, and none was to be made.
            ClearanceError: what ``work`` raises besides.
        """
        if monotonic() < self._until:
            raise LedgerAway(self._reason)
        task = self._start(self._within(work))
        done, _ = await asyncio.wait({task}, timeout=_PATIENCE)
        if not done:
            self._leave_alone("the ledger does not answer in time")
            raise LedgerAway(self._reason)
        return await task

    async def opened(self) -> Ledger:
        """The ledger itself, for work that takes long. Raises CannotStore."""
        async with self._turn:
            if self._ledger is None:
                opening = Ledger.open(self._address, create=self._create)
                self._ledger = await self._closing.enter_async_context(opening)
            return self._ledger

    async def _within(self, work: Callable[[Ledger], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(_LONGEST):
                answer = await work(await self.opened())
        except NoDatabase:
            raise
        except CannotStore as error:
            self._leave_alone(str(error))
            raise LedgerAway(str(error)) from error
        except TimeoutError as error:
            raise LedgerAway("the ledger does not answer in time") from error
        self.answers()
        return answer

    def answers(self) -> None:
        """It is there: whoever asks next gets through."""
        if self._failures and self._create:
            log.info("the ledger answers again")
        self._failures, self._until = 0, 0.0

    def _leave_alone(self, reason: str) -> None:
        if monotonic() < self._until:  # known, from somebody who asked at the same time
            return
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        self._until, self._reason = monotonic() + pause, reason
        if self._create:  # whoever only reads is told by what they read
            said = "%s; it is asked again in %d s, and what it misses comes later"
            log.warning(said, reason, pause)

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        task.cancelled() or task.exception()  # seen, also where nobody waits for it any more
