"""From Temporal's executions to what readers see; and the visibility queries behind every list."""

from typing import Any

import pydantic
import temporalio.client
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus, WorkflowHandle

from . import attributes, contract
from .errors import InvalidRequest
from .models import ApprovalRequest, Outcome, Status
from .views import ApprovalSummary, ApprovalView

PENDING = f"WorkflowType = '{contract.APPROVAL_WORKFLOW}' AND ExecutionStatus = 'Running'"
"""Everything that waits. The status attribute alone would list requests of ended parents too."""


def quoted(value: str) -> str:
    """A string literal of the visibility query language."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def pending_query(
    *,
    queue: str,
    audience: str | None = None,
    reviewer: str | None = None,
    tool: str | None = None,
    run: str | None = None,
    risk: str | None = None,
    requester: str | None = None,
    checkpoint: str | None = None,
) -> str:
    """The visibility query for what waits and fits every given filter.

    ``audience`` finds the requests that name that person; ``reviewer`` those that the person may
    decide, which are these and the ones that name nobody.
    """
    parts = [PENDING, f"TaskQueue = {quoted(queue)}"]
    equal = (
        (attributes.AUDIENCE, audience),
        (attributes.TOOL, tool),
        (attributes.RISK, risk),
        (attributes.REQUESTER, requester),
        (attributes.CHECKPOINT, checkpoint),
    )
    parts += [f"{key.name} = {quoted(value)}" for key, value in equal if value]
    if reviewer:
        name = attributes.AUDIENCE.name
        parts.append(f"({name} IS NULL OR {name} = {quoted(reviewer)})")
    if run:
        parts.append(f"WorkflowId STARTS_WITH {quoted(run + '.')}")
    return " AND ".join(parts)


def status_of(execution: WorkflowExecution) -> Status:
    """The status readers see: a request that Temporal ended with its parent is ``withdrawn``."""
    if execution.status == WorkflowExecutionStatus.RUNNING:
        return "pending"
    recorded = execution.typed_search_attributes.get(attributes.STATUS)
    if execution.status == WorkflowExecutionStatus.COMPLETED:
        for status in ("approved", "rejected", "expired"):
            if recorded == status:
                return status
    return "withdrawn"


async def summary_of(client: Client, execution: WorkflowExecution) -> ApprovalSummary:
    """One line of a list. Costs nothing more than the listing where the request left its memo.

    Raises:
        InvalidRequest: the request itself is malformed; no worker has refused it yet.
    """
    memo = await execution.memo()
    shown: dict[str, Any] | None = memo.get(contract.MEMO_APPROVAL)
    if shown is None:
        handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
        shown = (await stored_request(handle)).memo()
    return ApprovalSummary.model_validate(
        {
            **shown,
            "id": execution.id,
            "status": status_of(execution),
            "requested_at": execution.start_time,
        }
    )


async def stored_request(handle: WorkflowHandle[Any, Any]) -> ApprovalRequest:
    """The request as the server stores it: readable without any worker.

    Raises:
        InvalidRequest: what was stored is no request.
    """
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        values = await handle._client.data_converter.decode(payloads)
        plain = values[0] if values else None
        try:
            return ApprovalRequest.model_validate(
                {"action": plain} if isinstance(plain, str) else plain
            )
        except pydantic.ValidationError as error:
            raise InvalidRequest(f"{handle.id} is no valid request") from error
    raise InvalidRequest(f"{handle.id} has no history")


async def stored_view(
    handle: WorkflowHandle[Any, Any], description: temporalio.client.WorkflowExecutionDescription
) -> ApprovalView:
    """The record as far as the server knows it without asking a worker."""
    request = await stored_request(handle)
    decision = None
    if description.status == WorkflowExecutionStatus.COMPLETED:
        decision = Outcome.model_validate(await handle.result()).decision
    return ApprovalView(
        id=description.id,
        status=status_of(description),
        request=request,
        digest=request.digest,
        requested_at=description.start_time,
        deadline=request.deadline(description.start_time),
        decision=decision,
        complete=False,
    )
