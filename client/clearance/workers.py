"""Whether anybody works: what Temporal knows of the workers of a task queue."""

from collections.abc import Sequence
from datetime import UTC, datetime

from temporalio.api.enums.v1 import TaskQueueType, WorkerStatus
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, ListWorkersRequest
from temporalio.client import Client
from temporalio.service import RPCError

from .filters import quoted

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


async def has_worker(client: Client, task_queue: str) -> bool:
    """Whether a worker polls this queue for workflow tasks.

    A worker that was stopped counts no more at once. One that was killed counts until the server
    forgets its last poll, some five minutes later: nobody can tell it from one that is thinking.
    """
    polling = await pollers(client, task_queue)
    if not polling:
        return False
    stopped = await _stopped(client, task_queue)
    return any(
        # One that polled after its word that it stops is a new one in the same process.
        poller.last_access_time.ToDatetime(UTC)
        > stopped.get(poller.identity, datetime.min.replace(tzinfo=UTC))
        for poller in polling
    )


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
