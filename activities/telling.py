"""Leaving word with the notifiers of whoever is to be told."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from clearance import contract
from clearance.notices import (
    MAX_NOTICES,
    Destination,
    Notice,
    Notifying,
    Telling,
    notifier_id,
)
from policy.reading import BrokenPolicy
from policy.watched import WatchedDirectory

_AT_ONCE = 20
"""Notifiers that word is left with at the same time."""

_MOST = 50
"""Notifiers that word is left with for one event. Decisions wait for it, as long as three calls in a row
to Temporal take; never longer than the 5 s that ``workflows/telling.py`` gives it."""

_RPC = timedelta(seconds=2)


class TellingActivities:
    """Signals workflows, and contacts nobody: a channel that hangs is in no gate's way."""

    def __init__(
        self, client: Client, directory: WatchedDirectory, *, queue: str, window: timedelta
    ) -> None:
        """Leave word on the approvals' own queue.

        Args:
            client: reaches the namespace of the approvals.
            directory: says how people are reached.
            queue: the task queue that serves the approvals and the notifiers.
            window: how long people's channels wait for more before they are told.
        """
        self._client = client
        self._directory = directory
        self._queue = queue
        self._window = window
        self._room = asyncio.Semaphore(_AT_ONCE)

    @property
    def activities(self) -> Sequence[Callable[..., Any]]:
        """What a worker registers; workflows call them as local activities."""
        return [self.tell]

    @activity.defn(name=contract.ACTIVITY_TELL)
    async def tell(self, notices: list[Notice]) -> None:
        """Hand notices to the notifiers of whoever is in their audiences. Again, it tells nobody twice.

        Raises:
            ApplicationError: type ``BrokenDirectory`` or ``CannotTell``; retried, unless there are more
                than 50 channels, of which the first are told.
        """
        try:
            directory = await self._directory.current()
        except BrokenPolicy as error:
            raise ApplicationError(str(error), type="BrokenDirectory") from None
        now = datetime.now(UTC)
        found: dict[Destination, list[Notice]] = {}
        for notice in notices:
            bare = notice.model_copy(update={"audience": (), "without": frozenset()})
            for to in directory.destinations(notice.audience, now, notice.without):
                found.setdefault(to, []).append(bare)
        reached = list(found.items())[:_MOST]
        leaving = (self._leave(to, some) for to, some in reached)
        failed = [one for one in await asyncio.gather(*leaving) if one]
        if failed:
            raise ApplicationError(failed[0], type="CannotTell")
        if (more := len(found) - len(reached)) > 0:
            said = (
                f"beyond 50 channels {more:,} more are too many: give a large group one of its own"
            )
            raise ApplicationError(said, type="CannotTell", non_retryable=True)

    async def _leave(self, to: Destination, notices: list[Notice]) -> str | None:
        """Start the notifier, or wake it up. Returns why that failed."""
        telling = Telling(notices=tuple(notices[-MAX_NOTICES:]), window=self._window)
        async with self._room:
            try:
                await self._client.start_workflow(
                    contract.NOTIFIER_WORKFLOW,
                    Notifying(to=to),
                    id=notifier_id(self._queue, to),
                    task_queue=self._queue,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    start_signal=contract.SIGNAL_TELL,
                    start_signal_args=[telling],
                    rpc_timeout=_RPC,
                )
            except RPCError as error:
                return f"Temporal did not take it for {to.who}: {error.message}"
        return None
