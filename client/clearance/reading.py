"""The whole record of a request, as a worker tells it and as Temporal has it."""

from datetime import datetime, timedelta
from typing import Any

from temporalio.client import (
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError

from . import contract, stored
from .away import by_worker
from .consumption import consumption_of
from .stored import UNREADABLE
from .views import ApprovalView, Event, EventKind, Execution
from .workers import answered

_SHORT = timedelta(seconds=2)
"""For a run to say whether the action has run: the record is readable without."""

_EXECUTION: Any = Execution | None


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
        reason = (await stored.ended(handle._client, description, found.digest)).explanation
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
        return await stored.view_of(handle, description)
    try:
        asked = handle.query(
            contract.QUERY_VIEW, result_type=ApprovalView, rpc_timeout=answer_timeout
        )
        async with by_worker(answer_timeout):
            found: ApprovalView = await answered(handle, asked)
    except (RPCError, TimeoutError, WorkflowQueryFailedError):
        return await stored.view_of(handle, description)
    if description.status != WorkflowExecutionStatus.RUNNING:
        return await _as_closed(handle, description, found)
    if found.status == "pending":
        return found
    # Whether the server has taken that end, too: it may have ended the request in another way.
    later = await handle.describe()
    if (later.run_id, later.status) == (description.run_id, description.status):
        return found
    return await _recorded(handle, later, answer_timeout)


async def _as_closed(
    handle: WorkflowHandle[Any, Any], description: WorkflowExecutionDescription, found: ApprovalView
) -> ApprovalView:
    """The record of a closed request with the end that Temporal knows of.

    A worker that tells the record of what was ended from outside reads a task that nobody has
    completed as if it were: a decision in it never took effect.
    """
    status = stored.status_of(description)
    if found.status == status:
        return found
    if description.status == WorkflowExecutionStatus.COMPLETED:
        return await stored.view_of(handle, description)
    return without_end(found).model_copy(update={"status": status})


def without_end(found: ApprovalView) -> ApprovalView:
    """A record whose end, by its own account, never was: ``pending``. Who had decided stays in it."""
    ends = [at for at, one in enumerate(found.events) if one.kind == found.status]
    if not ends:  # it was pending
        return found
    # The vote of who decided stays: an approval alone doesn't say that it was enough.
    kept = ends[-1] + (found.decision is not None)
    stages = [
        one.model_copy(update={"status": "ended"}) if one.number == found.stage else one
        for one in found.stages
    ]
    before = {"events": found.events[:kept], "decision": None, "explanation": ""}
    return found.model_copy(update={"status": "pending", "stages": stages, **before})


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
    except (RPCError, TimeoutError, WorkflowQueryFailedError, *UNREADABLE):
        return None
    return ran
