"""What a foreign program sends and what Temporal itself keeps: no client of ours in between."""

import gc
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType, UpdateWorkflowExecutionLifecycleStage
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.update.v1 import UpdateRef
from temporalio.api.workflowservice.v1 import (
    PollWorkflowExecutionUpdateRequest,
    ResetWorkflowExecutionRequest,
)
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError

from clearance import ApprovalClient, ApprovalRequest
from clearance.refusing import again
from cli.settings import Settings

Handle = WorkflowHandle[Any, Any]

RUNS_LEFT_OPEN = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <coroutine object:pytest.PytestUnraisableExceptionWarning"
)
"""For a module whose workers stop while agent runs of theirs are open.

Temporal's SDK leaves such runs to the garbage collector (sdk-python, pull request 1849), and the
Agents SDK awaits once more while it is collected, which Python reports. ``collect_open_runs`` makes
that happen in the test that did it.
"""


def collect_open_runs() -> None:
    """To be called once the workers have stopped."""
    gc.collect()


def decision(request: ApprovalRequest | str, **changes: Any) -> dict[str, Any]:
    """An approving decision of this request as plain JSON; None as a change leaves a field out."""
    if isinstance(request, str):
        request = ApprovalRequest(action=request)
    fields = {
        "approved": True,
        "reviewer": "ada@example.com",
        "digest": request.digest,
        "decision_id": uuid.uuid4().hex,
        "decided_at": datetime.now(UTC).isoformat(),
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


async def ask(approvals: ApprovalClient, request: ApprovalRequest | str) -> Handle:
    """Ask, and return the workflow's own handle."""
    return approvals.temporal.get_workflow_handle((await approvals.request(request)).id)


def impatient(client: Client, settings: Settings) -> ApprovalClient:
    """A client that doesn't wait long for a worker that nobody expects to answer."""
    return ApprovalClient(
        client, task_queue=settings.approvals_queue, answer_timeout=timedelta(seconds=1)
    )


async def history(handle: Handle) -> list[HistoryEvent]:
    """All events so far."""
    return [event async for event in handle.fetch_history_events()]


def only(events: Iterable[HistoryEvent], type: EventType.ValueType) -> list[HistoryEvent]:
    """Those of one type, in order."""
    return [event for event in events if event.event_type == type]


async def is_taken(handle: Handle) -> bool:
    """Whether a worker has run the workflow's first task."""
    return bool(only(await history(handle), EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED))


async def refusals(approvals: ApprovalClient, id: str) -> list[str]:
    """Why each refused attempt in the record was refused, in order."""
    view = await approvals.get(id)
    return [event.reason for event in view.events if event.kind == "refused"]


async def send(handle: Handle, update: str, said: Any, *, id: str | None = None) -> Any:
    """Send an update, and again with what the request wants to be told of its sender."""
    known: list[Any] = []
    while True:
        try:
            return await handle.execute_update(update, args=[said, *known], id=id)
        except WorkflowUpdateFailedError as error:
            told = again(error)
            if told is None:
                raise
            known = told


async def is_admitted(handle: Handle, update_id: str) -> bool:
    """Whether the server holds this update for the next worker."""
    request = PollWorkflowExecutionUpdateRequest(
        namespace=handle._client.namespace, update_ref=UpdateRef(update_id=update_id)
    )
    request.update_ref.workflow_execution.workflow_id = handle.id
    try:
        answer = await handle._client.workflow_service.poll_workflow_execution_update(request)
    except RPCError:
        return False
    stage = UpdateWorkflowExecutionLifecycleStage
    return bool(answer.stage >= stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED)


async def reset(client: Client, handle: Handle, *, to: int) -> Handle:
    """Reset a workflow to just before this completed workflow task (from 0); return the new run."""
    tasks = only(await history(handle), EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    request = ResetWorkflowExecutionRequest(
        namespace=client.namespace,
        reason="test",
        request_id=uuid.uuid4().hex,
        workflow_task_finish_event_id=tasks[to].event_id,
    )
    request.workflow_execution.workflow_id = handle.id
    answer = await client.workflow_service.reset_workflow_execution(request)
    return client.get_workflow_handle(handle.id, run_id=answer.run_id)
