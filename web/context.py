"""What every route needs, made once at the start."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request

from clearance import ApprovalClient
from policy.watched import WatchedDirectory
from store import Store
from store.ledger.archive import Archive

from .config import WebConfig
from .live import Live
from .rates import Limiter


@dataclass(frozen=True)
class Context:
    """The parts of a running inbox."""

    config: WebConfig
    approvals: ApprovalClient
    archive: Archive
    store: Store
    live: Live
    directory: WatchedDirectory
    url: str
    """Where reviewers reach it, without a slash at its end."""
    limits: Limiter
    stopping: asyncio.Event
    """Set when the inbox is about to stop: whoever waits for something answers now."""

    async def names_of(self, person: str, groups: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Every name by which an audience may mean somebody: their own, their groups, and the same
        of whom they stand in for.

        Raises:
            policy.reading.BrokenPolicy: ``reviewers.toml`` is broken.
        """
        if self.directory.path is None:
            return (person,)
        directory = await self.directory.current()
        return directory.names_of(person, datetime.now(UTC), groups)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Here = Annotated[Context, Depends(_context)]
"""The context, as a route asks for it."""
