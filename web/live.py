"""What was asked and what has ended, as it happens: one pair of small queries for everybody who looks."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict
from temporalio.client import Client
from temporalio.service import RPCError

from clearance import contract, legible, stored
from clearance.errors import InvalidRequest
from clearance.filters import quoted
from clearance.views import ApprovalSummary

_EVERY = 0.4
"""Seconds between two looks: a request is on a page within a second of being listed."""

_OVERLAP = timedelta(seconds=15)
"""The listing is eventually consistent: what was started earlier may show up later than what followed."""

_PATIENCE = timedelta(seconds=3)
"""What one answer of Temporal may take; the client itself would try for longer."""

_MISSES = 2
"""Looks in a row that fail before everybody is told: one may be a hiccup."""

_BACKLOG = 1_000
"""Changes that somebody may be behind before they are told to look at everything again."""


class Changed(BaseModel):
    """One thing that happened to the list of requests."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["created", "ended", "resync", "away"]
    """``resync``: look at everything again. Always the first, and wherever something was missed.
    ``away``: Temporal can't be reached; the next ``resync`` says that it can be."""
    request: ApprovalSummary | None = None
    """As it is now; None for ``resync`` and ``away``."""


_RESYNC = Changed(kind="resync")
_AWAY = Changed(kind="away")


class Live:
    """Asks Temporal only while somebody listens."""

    def __init__(self, client: Client, queue: str) -> None:
        """For the requests on this queue."""
        self._client = client
        self._all = f"WorkflowType = '{contract.APPROVAL_WORKFLOW}' AND TaskQueue = {quoted(queue)}"
        self._listeners: set[asyncio.Queue[Changed | None]] = set()
        self._closed = False
        self._away = False
        self._watching: asyncio.Task[None] | None = None

    async def changes(self) -> AsyncGenerator[Changed, None]:
        """What happens from now on, until ``close`` or for as long as it is asked for; first a
        ``resync``, and ``away`` where that is known already."""
        mine: asyncio.Queue[Changed | None] = asyncio.Queue(_BACKLOG + 1)
        if self._closed:
            return
        self._listeners.add(mine)
        if self._watching is None:
            self._away = False
            self._watching = asyncio.create_task(self._watch())
        try:
            if self._away:
                mine.put_nowait(_AWAY)
            yield _RESYNC
            while (change := await mine.get()) is not None:
                yield change
        finally:
            self._listeners.discard(mine)
            if not self._listeners and self._watching is not None:
                self._watching.cancel()
                self._watching = None

    def close(self) -> None:
        """End it for everybody who listens, and for whoever comes now."""
        self._closed = True
        for one in self._listeners:
            one.put_nowait(None)

    async def _watch(self) -> None:
        seen = _Seen()
        since = datetime.now(UTC)
        known = False  # the first look finds what everybody has on their page already
        missed = 0
        while True:
            started = datetime.now(UTC)
            try:
                found = await self._since(since - _OVERLAP)
            except RPCError:
                known = False
                missed += 1
                if missed == _MISSES:
                    self._away = True
                    self._tell(_AWAY)
            else:
                self._away, missed = False, 0
                seen.forget(started - 2 * _OVERLAP)
                new = [one for one in found if seen.adds(one, started)]
                for change in new if known else [_RESYNC]:
                    self._tell(change)
                since, known = started, True
            await asyncio.sleep(_EVERY)

    async def _since(self, moment: datetime) -> list[Changed]:
        """What was asked and what has ended since then, as far as it is listed by now."""
        found = []
        at = quoted(moment.isoformat())
        for query in (
            f"{self._all} AND ExecutionStatus = 'Running' AND StartTime >= {at}",
            f"{self._all} AND ExecutionStatus != 'Running' AND CloseTime >= {at}",
        ):
            async for execution in self._client.list_workflows(
                query, page_size=1_000, rpc_timeout=_PATIENCE
            ):
                try:
                    request = await legible.summary_of(self._client, execution)
                except InvalidRequest:
                    continue  # the workflow itself will refuse it
                waits = request.status == "pending"
                if stored.waits(execution) or not waits:
                    found.append(Changed(kind="created" if waits else "ended", request=request))
        return found

    def _tell(self, change: Changed) -> None:
        for one in self._listeners:
            if one.qsize() < _BACKLOG - 1:
                one.put_nowait(change)
            elif one.qsize() < _BACKLOG:
                one.put_nowait(_RESYNC)


class _Seen:
    """What was told already, as long as a look may find it again."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, str, datetime], datetime] = {}

    def forget(self, before: datetime) -> None:
        """Leave out what no look can find any more."""
        self._at = {key: at for key, at in self._at.items() if at >= before}

    def adds(self, change: Changed, now: datetime) -> bool:
        """Whether it is new."""
        if change.request is None:
            return True
        key = (change.kind, change.request.id, change.request.requested_at)
        new = key not in self._at
        self._at[key] = now
        return new
