"""Who comes first is served first; and what the server has stored is read in shares.

A workflow task that takes two seconds is done again, for ever, and the server hands over all that it has
stored in one: ten thousand signals, of 50 MB together. Nothing of a signal is therefore read before its
turn, and after each share of them the workflow goes on in another task.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from workflows.patches import MANY_SIGNALS_TAKE_TURNS

_SIGNALS = 1_000
_BYTES = 3_000_000
"""Of signals in one workflow task. Counted from the last pause on, not in each task: in a replay, tasks
may begin elsewhere."""

Take = Callable[[Any], Awaitable[None]]
"""Takes what a signal says: its argument, a list of several, or None."""


async def _at_once() -> None:
    """Nothing has to be waited for."""


class Turns:
    """One at a time, in the order of their arrival."""

    def __init__(
        self, begin: Callable[[], Awaitable[None]] = _at_once, *, is_patched: bool = False
    ) -> None:
        """``begin`` is awaited at the beginning of each turn. ``is_patched``: the workflow says itself
        that it isn't from before; after a look-up, a replay may not find a patch where it was."""
        self._begin = begin
        self._is_patched = is_patched
        self._turn = asyncio.Lock()
        self._stored: deque[tuple[Sequence[RawValue], Take]] | None = None
        self._taking = 0
        self._signals = self._bytes = 0

    @property
    def is_free(self) -> bool:
        """Whether nobody has, or waits for, a turn."""
        return self._stored is None and not self._turn.locked()

    @property
    def takes_signals(self) -> bool:
        """Whether a signal has its turn, or waits for it."""
        return self._taking > 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn, and have it."""
        self._stored = None  # signals that arrive from now on come after this
        async with self._turn:
            await self._begin()
            yield

    async def take(self, said: Sequence[RawValue], take: Take) -> None:
        """A signal, as its handler got it: has it taken in its turn.

        The first handler takes those that arrive meanwhile along, instead of ten thousand that wait.
        What can't be decoded changes nothing, as if the SDK had decoded it.
        """
        if self._stored is not None:
            self._stored.append((said, take))
            return
        stored = self._stored = deque([(said, take)])
        self._taking += 1
        try:
            await self._take(stored)
        finally:
            self._taking -= 1

    async def _take(self, stored: deque[tuple[Sequence[RawValue], Take]]) -> None:
        async with self._turn:
            while stored:
                said, take = stored.popleft()
                await self._pause(sum(one.payload.ByteSize() for one in said))
                await self._begin()
                try:
                    values = _decoded(said)
                except Exception:  # whatever a converter raises for bytes that anybody may send
                    workflow.logger.warning("a signal that can't be decoded changes nothing")
                    continue
                await take(values)
            if self._stored is stored:
                self._stored = None

    async def _pause(self, size: int) -> None:
        self._signals += 1
        self._bytes += size
        much = self._signals > _SIGNALS or self._bytes > _BYTES
        if much and (self._is_patched or workflow.patched(MANY_SIGNALS_TAKE_TURNS)):
            await workflow.sleep(timedelta(milliseconds=1))
            self._signals, self._bytes = 1, size


def _decoded(said: Sequence[RawValue]) -> Any:
    values = workflow.payload_converter().from_payloads([one.payload for one in said])
    return values if len(values) > 1 else next(iter(values), None)
