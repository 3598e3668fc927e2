"""Whoever is told, for tests: a recorder in place of the channels, and a worker that serves it."""

import uuid
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.directory import DirectoryActivities, InProcess
from activities.keeping import KeepingActivities
from activities.telling import TellingActivities
from clearance import contract
from clearance.notices import Delivery, Notice, Untold
from clearance.workers import patient
from policy.watched import WatchedDirectory
from workflows.approval import ApprovalWorkflow
from workflows.notifying import NotifierWorkflow

Behaviour = Callable[[Delivery], Awaitable[None]]

AT = datetime(2026, 11, 21, 9, tzinfo=UTC)


class Recorder:
    """Plays the channels: keeps what it is given, and fails as it is told to."""

    def __init__(self) -> None:
        self.tried: list[Delivery] = []
        self.sent: list[Delivery] = []
        self.untold: list[Untold] = []
        self.faults: dict[str, deque[Behaviour]] = defaultdict(deque)
        """By channel: of each attempt, what happens instead of sending."""

    @activity.defn(name=contract.ACTIVITY_SEND)
    async def send(self, delivery: Delivery) -> None:
        self.tried.append(delivery)
        if waiting := self.faults[delivery.to.channel]:
            await waiting.popleft()(delivery)
        self.sent.append(delivery)

    @activity.defn(name=contract.ACTIVITY_UNTOLD)
    async def keep_untold(self, untold: Untold) -> None:
        self.untold.append(untold)

    def told(self, who: str | None = None) -> list[list[str]]:
        """What was said in each message, in the order of sending: ``created Wire 42.00``."""
        return [
            [f"{one.kind} {one.action}" for one in message.notices]
            for message in self.sent
            if who in (None, message.to.who)
        ]

    async def has_told(self, count: int = 1) -> bool:
        return len(self.sent) >= count


def refuses(reason: str, *, final: bool = False) -> Behaviour:
    """A channel that says no."""

    async def refuse(_: Delivery) -> None:
        type = contract.ERROR_UNSENDABLE if final else "NotSent"
        raise ApplicationError(reason, type=type, non_retryable=final)

    return refuse


async def dies(_: Delivery) -> None:
    """As if its worker were killed: the server never hears of this attempt again."""
    activity.raise_complete_async()


def notice(name: str = "a", kind: Any = "created", **said: Any) -> Notice:
    """Of a request ``name``, asked by nobody's workflow."""
    sequence = said.pop("sequence", 1)
    execution = uuid.uuid5(uuid.NAMESPACE_OID, name)
    return Notice(
        key=f"{name}/{execution}/{sequence}",
        approval_id=name,
        requested_at=AT,
        kind=kind,
        at=AT,
        action=name,
        **said,
    )


@asynccontextmanager
async def telling(
    client: Client,
    queue: str,
    recorder: Recorder,
    reviewers: Path | None = None,
    *,
    told_by: Path | None = None,
    window: float = 0.0,
    **how: Any,
) -> AsyncIterator[None]:
    """A worker that serves the approvals, whose messages come to ``recorder``.

    ``told_by`` is another file, by which it finds the channels.
    """
    directory = DirectoryActivities(reviewers)
    channels = WatchedDirectory(told_by or reviewers)
    told = TellingActivities(client, channels, queue=queue, window=timedelta(seconds=window))
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[ApprovalWorkflow, NotifierWorkflow],
        activities=[
            *directory.activities,
            KeepingActivities().keep,
            told.tell,
            recorder.send,
            recorder.keep_untold,
        ],
        interceptors=[InProcess(directory)],
        **how,
    )
    async with patient(worker):  # as the worker process has it
        yield
