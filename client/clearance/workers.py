"""Whether anybody works: what Temporal knows of the workers of a task queue."""

import asyncio
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from temporalio.api.enums.v1 import TaskQueueType, WorkerStatus
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, ListWorkersRequest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError

from .filters import quoted

if TYPE_CHECKING:
    from temporalio.worker import Worker

T = TypeVar("T")

_STUCK = 8
"""Seconds after which a workflow task counts as stuck."""

_SOON = 0.3
"""Seconds in which a worker that isn't busy has answered; only then is it asked whether there is one."""

POLLED_WITHIN = timedelta(seconds=150)
"""A poll lasts a minute at most; but the server knows a worker that was killed for five."""

_PATIENCE = timedelta(seconds=2)
"""For the server to tell whether there is a worker."""

_SILENT_FOR = 60.0
"""Seconds for which workers that said nothing are taken to be gone, unless one of them polls anew: one
that lives does so within this time."""

_STOPPED = (WorkerStatus.WORKER_STATUS_SHUTTING_DOWN, WorkerStatus.WORKER_STATUS_SHUTDOWN)


async def pollers(client: Client, task_queue: str) -> Sequence[PollerInfo]:
    """Who polled this queue for workflow tasks lately: identity and time of the last poll."""
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    return answer.pollers


async def at_work(client: Client, task_queue: str) -> list[PollerInfo]:
    """Those of the pollers that haven't said that they stop.

    A worker that was stopped counts no more at once. One that was killed counts until the server
    forgets its last poll, some five minutes later: nobody can tell it from one that is thinking. See
    ``is_alive`` for who can be expected to answer.
    """
    polling = await pollers(client, task_queue)
    stopped = await _stopped(client, task_queue) if polling else {}
    return [
        # One that polled after its word that it stops is a new one in the same process.
        poller
        for poller in polling
        if poller.last_access_time.ToDatetime(UTC)
        > stopped.get(poller.identity, datetime.min.replace(tzinfo=UTC))
    ]


def silence(poller: PollerInfo) -> timedelta:
    """How long ago it polled last, by the clock here."""
    return datetime.now(UTC) - poller.last_access_time.ToDatetime(UTC)


def is_alive(poller: PollerInfo) -> bool:
    """Whether it polled within 150 seconds: one that hasn't may have been killed.

    By the clock here, which the server doesn't tell its own to compare with: where it is minutes ahead,
    living workers count as dead. Then a decision that isn't answered at once is stored instead; it
    counts none the less.
    """
    return silence(poller) < POLLED_WITHIN


async def has_worker(client: Client, task_queue: str) -> bool:
    """Whether a worker is ``at_work`` on this queue's workflow tasks, and alive as far as known."""
    return await _last_poll(client, task_queue) is not None


async def _last_poll(client: Client, task_queue: str) -> datetime | None:
    """When those who are alive on a queue polled last, by the server's clock; None where nobody is."""
    alive = filter(is_alive, await at_work(client, task_queue))
    return max((one.last_access_time.ToDatetime(UTC) for one in alive), default=None)


class _Polled(NamedTuple):
    """Who polled last on a queue."""

    queue: str
    at: datetime


_silent: "WeakKeyDictionary[Client, dict[_Polled, float]]" = WeakKeyDictionary()
"""Whom each client has asked in vain, and until when it does not wait for them again: a worker that was
killed counts for minutes, and whoever decides would wait for it at every step."""


class Served:
    """Whether queues are served, for whoever shows it: asked once in some seconds, however many look."""

    KEPT_FOR = 5.0
    """Seconds that what was found is believed."""

    def __init__(self, client: Client) -> None:
        """By this client. Nothing is asked yet."""
        self._client = client
        self._known: dict[str, tuple[float, bool]] = {}

    async def now(self, task_queue: str) -> bool:
        """Whether a worker serves this queue; True where nobody can tell."""
        until, served = self._known.get(task_queue, (0.0, True))
        if time.monotonic() < until:
            return served
        # Who asks meanwhile is told what was known before.
        self._known[task_queue] = time.monotonic() + self.KEPT_FOR, served
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                served = await has_worker(self._client, task_queue)
        except (RPCError, TimeoutError):
            served = True
        self._known[task_queue] = time.monotonic() + self.KEPT_FOR, served
        return served


def unserved(task_queue: str) -> str:
    """What whoever decides is told of a queue that no worker serves."""
    return f"no worker serves {task_queue}: decisions are recorded and take effect when one is back"


async def polled(client: Client, task_queues: Sequence[str]) -> None:
    """Return when the server knows of a worker on each: only then is it true that they are served."""
    for queue in task_queues:
        while not await at_work(client, queue):  # whatever time it is by the clock here
            await asyncio.sleep(0.02)


def patient(worker: "Worker") -> "Worker":
    """Let each of its workflow tasks take as long as the server does, nearly.

    The SDK takes a workflow for stuck after two seconds by the clock on the wall, and has no setting
    for it. On a busy machine a large request can need them; its task then fails, and the same again
    at every further try: a gate that takes no decision. The server itself waits ten seconds.
    """
    inside = worker._workflow_worker
    if inside is not None and inside._deadlock_timeout_seconds is not None:  # None while debugging
        inside._deadlock_timeout_seconds = _STUCK
    return worker


async def answered(handle: WorkflowHandle[Any, Any], asked: Coroutine[Any, Any, T]) -> T:
    """What a worker answers, however long it takes.

    Args:
        handle: the workflow that is asked.
        asked: its update or query, on its way.

    Raises:
        TimeoutError: nobody works on its queue, so that there is nothing to wait for; or only those
            who have just been asked in vain, and have not polled since.
    """
    answer = asyncio.ensure_future(asked)
    try:
        done, _ = await asyncio.wait({answer}, timeout=_SOON)
        if not done and (polled := await _polled(handle)):
            with _listening(handle._client, polled):
                await answer
        found = await answer
        _silent.pop(handle._client, None)
        return found
    finally:
        if not answer.done():
            answer.cancel()
            await asyncio.wait({answer})
        answer.cancelled() or answer.exception()  # seen, and of no interest any more


async def _polled(handle: WorkflowHandle[Any, Any]) -> _Polled | None:
    """Who works for it; None where nobody can tell. Raises TimeoutError where nobody does."""
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            queue = (await handle.describe()).task_queue
            at = await _last_poll(handle._client, queue)
    except (RPCError, TimeoutError):
        return None  # the time that the caller has decides
    if at is None:
        raise TimeoutError(f"nobody works for {handle.id}")
    return _Polled(queue, at)


@contextmanager
def _listening(client: Client, polled: _Polled) -> Iterator[None]:
    """Note whether these workers say anything. Raises TimeoutError where they didn't before."""
    silent = _silent.setdefault(client, {})
    begun = time.monotonic()
    if silent.get(polled, begun) > begun:
        raise TimeoutError(
            f"who works on {polled.queue} has said nothing, and has not polled since"
        )
    try:
        yield
    except (asyncio.CancelledError, RPCError, WorkflowUpdateRPCTimeoutOrCancelledError):
        now = time.monotonic()
        if now > begun + _PATIENCE.total_seconds():  # else it is the caller who has given up
            for gone in [one for one, until in silent.items() if until < now]:
                del silent[gone]
            silent[polled] = now + _SILENT_FOR
        raise


async def _stopped(client: Client, task_queue: str) -> dict[str, datetime]:
    """Identity of each worker that said it stops, and when. Empty on a server that doesn't keep it."""
    try:
        answer = await client.workflow_service.list_workers(
            ListWorkersRequest(
                namespace=client.namespace,
                query=f"TaskQueue = {quoted(task_queue)}",
                page_size=1_000,
            )
        )
    except RPCError:
        return {}
    said: dict[str, datetime] = {}
    for worker in (info.worker_heartbeat for info in answer.workers_info):
        if worker.status in _STOPPED:
            at = worker.heartbeat_time.ToDatetime(UTC)
            said[worker.worker_identity] = max(at, said.get(worker.worker_identity, at))
    return said
