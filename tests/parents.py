"""Workflows of somebody else's that ask for approvals, and the worker that runs them."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from clearance import ApprovalRequest, Outcome, contract, gate, request_approval
    from clearance.views import PendingApproval

    from .support import unique

Parent = WorkflowHandle[Any, Any]


@workflow.defn
class Asks:
    """Asks for everything at once and returns the outcomes."""

    @workflow.run
    async def run(self, actions: list[str], queue: str) -> list[Outcome]:
        return await asyncio.gather(
            *(request_approval(action, task_queue=queue) for action in actions)
        )

    @workflow.query(name=contract.QUERY_PENDING)
    def pending_approvals(self) -> list[PendingApproval]:
        return gate.pending_approvals()


@workflow.defn
class Wires:
    """Asks for something that comes out differently when it is worked out again."""

    @workflow.run
    async def run(self, queue: str) -> Outcome:
        await workflow.sleep(timedelta(milliseconds=1))
        return await request_approval(
            ApprovalRequest(
                action="Wire the money",
                tool="wire",
                arguments={"quote": str(workflow.uuid4())},
            ),
            task_queue=queue,
        )


@workflow.defn
class AsksWith:
    """Asks for something with so many bytes of arguments, as a service in another language would."""

    @workflow.run
    async def run(self, size: int, queue: str) -> Outcome:
        fields: Any = {"action": "Send it", "tool": "send", "arguments": {"body": "x" * size}}
        return await request_approval(ApprovalRequest.model_construct(**fields), task_queue=queue)


@workflow.defn
class AsksForEver:
    """Asks for something that never expires."""

    @workflow.run
    async def run(self, queue: str) -> Outcome:
        return await request_approval(
            ApprovalRequest(action="Deploy?", expires_in=None), task_queue=queue
        )

    @workflow.query(name=contract.QUERY_PENDING)
    def pending_approvals(self) -> list[PendingApproval]:
        return gate.pending_approvals()


@workflow.defn
class Leaves:
    """Asks, doesn't wait for the answer, and ends as the signal ``end`` says."""

    def __init__(self) -> None:
        self._end: str | None = None

    @workflow.run
    async def run(self, queue: str, asks: bool = True) -> str:
        if not asks:
            return "the next run"
        asking = asyncio.create_task(request_approval("Deploy?", task_queue=queue))
        await workflow.wait_condition(lambda: self._end is not None)
        assert not asking.done()
        if self._end == "fail":
            raise ApplicationError("it went wrong", non_retryable=True)
        if self._end == "continue":
            workflow.continue_as_new(args=[queue, False])
        return "done without"

    @workflow.signal
    def end(self, how: str) -> None:
        self._end = how


def worker_for(client: Client, task_queue: str) -> Worker:
    """Runs these workflows."""
    return Worker(
        client, task_queue=task_queue, workflows=[Asks, AsksForEver, AsksWith, Wires, Leaves]
    )


async def start(client: Client, type: Any, task_queue: str, *args: Any, **options: Any) -> Parent:
    """Start one of them under an id of its own."""
    return await client.start_workflow(
        type.run, args=args, id=unique("parent"), task_queue=task_queue, **options
    )
