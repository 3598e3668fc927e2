"""From Temporal's executions to what readers see; and the visibility queries behind every list."""

from datetime import timedelta
from typing import Any, TypedDict, TypeGuard, Unpack

import temporalio.client
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from . import attributes, contract
from .errors import InvalidRequest
from .models import Outcome, Status
from .requests import ApprovalRequest
from .views import ApprovalSummary, ApprovalView

PENDING = f"WorkflowType = '{contract.APPROVAL_WORKFLOW}' AND ExecutionStatus = 'Running'"
"""Everything that waits. The status attribute alone would list requests of ended parents too."""


_UNFINDABLE = frozenset("\\'\"")
"""The server compares these with an escape before them, so that some values with one never match
(and some fail, in a list of names on SQLite). Such values are left to ``fits``."""


_UNREADABLE = (KeyError, RuntimeError, ValueError)
"""What a converter raises on what it doesn't know, and pydantic on what is no such model."""


def quoted(value: str) -> str:
    """A string literal of the visibility query language."""
    return "'" + value.replace("'", "''") + "'"


class Filters(TypedDict, total=False):
    """What a list of pending requests can be narrowed to; None and empty leave it as it is."""

    audience: str | None
    """Only requests that name this person."""
    reviewer: str | None
    """Only requests this person may decide: naming them, or naming nobody."""
    tool: str | None
    """Only of this tool."""
    run: str | None
    """Only of this agent run (its whole id)."""
    risk: str | None
    """``low``, ``medium``, ``high`` or ``critical``."""
    requester: str | None
    """Only of runs this person started."""
    checkpoint: str | None
    """Only stopped by this policy rule."""


def pending_query(*, queue: str, **filters: Unpack[Filters]) -> str:
    """The visibility query for what waits and fits every given filter."""
    parts = [PENDING, f"TaskQueue = {quoted(queue)}"]
    audience, reviewer = filters.get("audience"), filters.get("reviewer")
    run = filters.get("run")
    equal = (
        (attributes.AUDIENCE, audience and audience.casefold()),
        (attributes.TOOL, filters.get("tool")),
        (attributes.RISK, filters.get("risk")),
        (attributes.REQUESTER, filters.get("requester")),
        (attributes.CHECKPOINT, filters.get("checkpoint")),
    )
    parts += [f"{key.name} = {quoted(value)}" for key, value in equal if _findable(value)]
    if _findable(reviewer):
        name = attributes.AUDIENCE.name
        parts.append(f"({name} IS NULL OR {name} = {quoted(reviewer.casefold())})")
    if _findable(run):
        parts.append(f"WorkflowId STARTS_WITH {quoted(run + '.')}")
    return " AND ".join(parts)


def _findable(value: str | None) -> TypeGuard[str]:
    return bool(value) and _UNFINDABLE.isdisjoint(value or "")


def fits(listed: ApprovalSummary, **filters: Unpack[Filters]) -> bool:
    """Whether a listed request is what was asked for; the query alone may find more."""
    names = [name.casefold() for name in listed.audience]
    audience, reviewer = filters.get("audience"), filters.get("reviewer")
    run = filters.get("run")
    equal = (
        (filters.get("tool"), listed.tool),
        (filters.get("risk"), listed.risk),
        (filters.get("requester"), listed.requester),
        (filters.get("checkpoint"), listed.checkpoint),
    )
    return (
        all(not asked or asked == has for asked, has in equal)
        and (not audience or audience.casefold() in names)
        and (not reviewer or not names or reviewer.casefold() in names)
        and (not run or _is_child(listed.id, run))
    )


def _is_child(id: str, run: str) -> bool:
    """``run.7`` is; ``run.7.1`` is of the run called ``run.7``."""
    parent, _, sequence = id.rpartition(".")
    return parent == run and sequence.isdecimal()


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
    known = {
        "id": execution.id,
        "status": status_of(execution),
        "requested_at": execution.start_time,
    }
    try:
        memo = await execution.memo()
        return ApprovalSummary.model_validate({**memo[contract.MEMO_APPROVAL], **known})
    except (TypeError, *_UNREADABLE):  # none, or one that others wrote
        handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
        request = await stored_request(handle)
        return ApprovalSummary.model_validate({**request.memo(), **known})


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
    """The whole record, asked of a worker; as far as the server knows it where none answers in time.

    Raises:
        InvalidRequest: what has this id was refused as malformed.
    """
    description = await handle.describe()
    if description.status == WorkflowExecutionStatus.FAILED:  # it was malformed
        return await stored_view(handle, description)
    try:
        found: ApprovalView = await handle.query(
            contract.QUERY_VIEW, result_type=ApprovalView, rpc_timeout=answer_timeout
        )
    except (RPCError, WorkflowQueryFailedError):
        return await stored_view(handle, description)
    # A request that Temporal ended with its parent never learned of it.
    status = status_of(description)
    return found if found.status != "pending" else found.model_copy(update={"status": status})


async def stored_view(
    handle: WorkflowHandle[Any, Any], description: temporalio.client.WorkflowExecutionDescription
) -> ApprovalView:
    """The record as far as the server knows it without asking a worker.

    Of a request that still waits, that is without what earlier approvals changed.
    """
    request = await stored_request(handle)
    decision = edit = None
    if description.status == WorkflowExecutionStatus.COMPLETED:
        outcome = Outcome.model_validate(await handle.result())
        decision, edit = outcome.decision, outcome.edit
    return ApprovalView(
        id=description.id,
        status=status_of(description),
        request=request,
        digest=edit.digest if edit else request.digest,
        requested_at=description.start_time,
        deadline=request.deadline(description.start_time),
        decision=decision,
        edit=edit,
        complete=False,
    )


async def outcome_of(handle: WorkflowHandle[Any, Any]) -> Outcome:
    """How a request ends, as soon as it has. Raises InvalidRequest: it was refused as malformed."""
    while True:
        try:
            return Outcome.model_validate(await handle.result())
        except WorkflowFailureError as error:
            if isinstance(error.cause, ApplicationError):
                raise InvalidRequest(error.cause.message) from error
            description = await handle.describe()
            if description.status == WorkflowExecutionStatus.RUNNING:
                continue  # its parent was reset and asked again under the same id
            digest = (await summary_of(handle._client, description)).digest
            return Outcome(approval_id=handle.id, status="withdrawn", digest=digest)
