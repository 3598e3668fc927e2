"""From Temporal's executions to what readers see."""

from datetime import datetime, timedelta
from typing import Any

from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.exceptions import ApplicationError, TerminatedError
from temporalio.service import RPCError

from . import attributes, contract
from .away import by_worker, persistently
from .consumption import consumption_of
from .errors import InvalidRequest
from .models import Outcome, Status
from .requests import ApprovalRequest
from .text import one_line
from .views import ApprovalSummary, ApprovalView, Event, EventKind, Execution
from .workers import answered

_UNREADABLE = (KeyError, RuntimeError, ValueError)
"""What a converter raises on what it doesn't know, and pydantic on what is no such model."""

_SHORT = timedelta(seconds=2)
"""For a run to say whether the action has run: the record is readable without."""

_EXECUTION: Any = Execution | None


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
    except (AttributeError, TypeError, *_UNREADABLE):  # none, or one that others wrote
        handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
        request = await stored_request(handle)
        asked_by = request.run_id or execution.parent_id
        plain = {**request.memo(), "run_id": asked_by, **began, **known}
        return ApprovalSummary.model_validate(plain)


async def stored_request(handle: WorkflowHandle[Any, Any]) -> ApprovalRequest:
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
        except _UNREADABLE as error:
            raise InvalidRequest(f"{handle.id} is no valid request") from error
    raise InvalidRequest(f"{handle.id} has no history")


async def view(handle: WorkflowHandle[Any, Any], answer_timeout: timedelta) -> ApprovalView:
    """The whole record, with what happened outside the request: that Temporal ended it with its run,
    that its action has run. As far as the server knows it where no worker answers in time.

    Raises:
        InvalidRequest: what has this id was refused as malformed.
    """
    description = await handle.describe()
    found = await _recorded(handle, description, answer_timeout)
    if not found.complete:
        return found
    if found.status == "withdrawn" and all(one.kind != "withdrawn" for one in found.events):
        at = description.close_time or found.events[-1].at
        reason = (await ended(handle._client, description, found.digest)).explanation
        return withdrawn(found, at, reason)
    if found.status != "approved":
        return found
    if not description.parent_id:
        return await _consumed(handle, found)
    ran = await _execution(handle, description.parent_id, min(answer_timeout, _SHORT))
    if ran is None:
        return found
    reason = "it failed" if ran.failed else ""
    return _with_event(found, "executed", at=ran.at, reason=reason)


def withdrawn(found: ApprovalView, at: datetime, reason: str) -> ApprovalView:
    """The record of a request that Temporal ended, which never learned of it."""
    said: dict[str, Any] = {"status": "withdrawn", "explanation": reason}
    return _with_event(found, "withdrawn", at=at, reason=reason, **said)


async def record(handle: WorkflowHandle[Any, Any], answer_timeout: timedelta) -> ApprovalView:
    """The record as the request itself has it. Raises like ``view``."""
    return await _recorded(handle, await handle.describe(), answer_timeout)


async def _recorded(
    handle: WorkflowHandle[Any, Any],
    description: WorkflowExecutionDescription,
    answer_timeout: timedelta,
) -> ApprovalView:
    if description.status == WorkflowExecutionStatus.FAILED:  # it was malformed
        return await stored_view(handle, description)
    try:
        asked = handle.query(
            contract.QUERY_VIEW, result_type=ApprovalView, rpc_timeout=answer_timeout
        )
        async with by_worker(answer_timeout):
            found: ApprovalView = await answered(handle, asked)
    except (RPCError, TimeoutError, WorkflowQueryFailedError):
        return await stored_view(handle, description)
    # A request that Temporal ended with its parent never learned of it.
    status = status_of(description)
    return found if found.status != "pending" else found.model_copy(update={"status": status})


async def _consumed(handle: WorkflowHandle[Any, Any], found: ApprovalView) -> ApprovalView:
    """With who took the permission to act, and what they say that the action did."""
    taken = await consumption_of(handle._client, handle.id)
    if taken is None:
        return found
    found = _with_event(found, "consumed", at=taken.at, who=taken.taker)
    if (told := taken.outcome) is None:
        return found
    failed = f"it failed: {told.summary}" if told.summary else "it failed"
    reason = told.summary if told.succeeded else failed
    return _with_event(found, "executed", at=told.at, who=taken.taker, reason=reason)


def _with_event(
    found: ApprovalView,
    kind: EventKind,
    *,
    at: datetime,
    who: str | None = None,
    reason: str = "",
    **update: Any,
) -> ApprovalView:
    event = Event(
        sequence=len(found.events) + 1,
        at=at,
        kind=kind,
        who=who,
        channel="engine",
        reason=reason,
        digest=found.digest,
    )
    return found.model_copy(update={"events": [*found.events, event], **update})


async def _execution(
    handle: WorkflowHandle[Any, Any], run: str, timeout: timedelta
) -> Execution | None:
    """What a run says of the action of its approval; None where it, or its worker, says nothing."""
    parent = handle._client.get_workflow_handle(run)
    try:
        asked = parent.query(
            contract.QUERY_EXECUTION, handle.id, result_type=_EXECUTION, rpc_timeout=timeout
        )
        async with by_worker(timeout):
            ran: Execution | None = await answered(parent, asked)
    except (RPCError, TimeoutError, WorkflowQueryFailedError, *_UNREADABLE):
        return None
    return ran


async def stored_view(
    handle: WorkflowHandle[Any, Any], description: WorkflowExecutionDescription
) -> ApprovalView:
    """The record as far as the server knows it without asking a worker.

    Of a request that still waits, that is without what earlier approvals changed.

    Raises:
        InvalidRequest: what has this id was refused as malformed.
    """
    request = await stored_request(handle)
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
