"""What the server knows of a request without any worker."""

from typing import Any

from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.exceptions import ApplicationError, TerminatedError

from . import attributes, contract
from .away import persistently
from .errors import InvalidRequest
from .models import Outcome, Status
from .requests import ApprovalRequest
from .text import one_line
from .views import ApprovalSummary, ApprovalView

UNREADABLE = (KeyError, RuntimeError, ValueError)
"""What a converter raises on what it doesn't know, and pydantic on what is no such model."""


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


def waits(execution: WorkflowExecution) -> bool:
    """Whether a person is asked: not so where a standing approval answers, from the start."""
    return execution.typed_search_attributes.get(attributes.STATUS) != "approved"


async def summary_of(client: Client, execution: WorkflowExecution) -> ApprovalSummary:
    """One line of a list. Costs nothing more than the listing where the request left its memo.

    Raises:
        InvalidRequest: the request itself is malformed; no worker has refused it yet.
    """
    known = {"id": execution.id, "status": status_of(execution)}
    began = {"requested_at": execution.start_time}
    try:
        memo = (await execution.memo())[contract.MEMO_APPROVAL]
        asked_by = memo.get("run_id") or execution.parent_id
        # The memo says when it was asked where it goes on from an execution before.
        return ApprovalSummary.model_validate({**began, **memo, "run_id": asked_by, **known})
    except (AttributeError, TypeError, *UNREADABLE):  # none, or one that others wrote
        handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
        request = await request_of(handle)
        asked_by = request.run_id or execution.parent_id
        plain = {**request.memo(), "run_id": asked_by, **began, **known}
        return ApprovalSummary.model_validate(plain)


async def request_of(handle: WorkflowHandle[Any, Any]) -> ApprovalRequest:
    """The request as the server stores it: readable without any worker.

    Raises:
        InvalidRequest: what was stored is no request.
    """
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        try:
            values = await handle._client.data_converter.decode(payloads)
            plain = values[0] if values else None
            return ApprovalRequest.model_validate(
                {"action": plain} if isinstance(plain, str) else plain
            )
        except UNREADABLE as error:
            raise InvalidRequest(f"{handle.id} is no valid request") from error
    raise InvalidRequest(f"{handle.id} has no history")


async def view_of(
    handle: WorkflowHandle[Any, Any], description: WorkflowExecutionDescription
) -> ApprovalView:
    """The record as far as the server knows it without asking a worker.

    Of a request that still waits, that is without what earlier approvals changed.

    Raises:
        InvalidRequest: what has this id was refused as malformed.
    """
    request = await request_of(handle)
    began = (await summary_of(handle._client, description)).requested_at
    outcome = None
    if description.status != WorkflowExecutionStatus.RUNNING:
        outcome = await ended(handle._client, description, request.digest)
    edit = outcome and outcome.edit
    return ApprovalView(
        id=description.id,
        status=outcome.status if outcome else "pending",
        request=request,
        digest=edit.digest if edit else request.digest,
        requested_at=began,
        deadline=request.deadline(began),
        decision=outcome and outcome.decision,
        edit=edit,
        explanation=outcome.explanation if outcome else "",
        complete=False,
    )


async def outcome_of(handle: WorkflowHandle[Any, Any]) -> Outcome:
    """How a request ends, as soon as it has, even if Temporal is away meanwhile.

    Raises:
        InvalidRequest: it was refused as malformed.
    """
    while True:
        try:
            return Outcome.model_validate(await persistently(handle.result))
        except WorkflowFailureError as error:
            explanation = _explained(error)
            description = await persistently(handle.describe)
            if description.status == WorkflowExecutionStatus.RUNNING:
                continue  # its parent was reset and asked again under the same id
            digest = (await summary_of(handle._client, description)).digest
            return _withdrawn(handle.id, digest, explanation)


async def ended(client: Client, execution: WorkflowExecution, digest: str) -> Outcome:
    """How a request that does not run any more has ended. Raises like ``outcome_of``."""
    handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
    try:
        return Outcome.model_validate(await handle.result())
    except WorkflowFailureError as error:
        return _withdrawn(execution.id, digest, _explained(error))


def _withdrawn(approval_id: str, digest: str, explanation: str) -> Outcome:
    return Outcome(
        approval_id=approval_id, status="withdrawn", digest=digest, explanation=explanation
    )


def _explained(error: WorkflowFailureError) -> str:
    """Why Temporal ended a request. Raises InvalidRequest where it was malformed."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        raise InvalidRequest(cause.message) from error
    said = cause.message if isinstance(cause, TerminatedError) else ""
    return next((words for part, words in _TERMINATED if part in said), one_line(said, 200))


_TERMINATED = (
    ("by parent close policy", "the run that asked for it has ended"),
    ("TerminateIfRunning", "it was asked anew"),
    ("terminated by user", ""),  # no reason was given
    ("Workflow terminated", ""),
)
"""What Temporal says of its own accord, and what it means here."""
