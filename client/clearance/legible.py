"""One line of a list, which has to be there whatever can't be read of it."""

from temporalio.client import Client, WorkflowExecution

from . import reading
from .keys import InvalidKeys
from .models import Outcome
from .views import ApprovalSummary

UNREADABLE = "(encrypted with a key that is missing here)"
"""What a list shows of such a request."""


async def summary_of(client: Client, execution: WorkflowExecution) -> ApprovalSummary:
    """``reading.summary_of`` for a list, which one request without its key must not keep from being
    read: its line says so instead, and its own record tells which key."""
    try:
        return await reading.summary_of(client, execution)
    except InvalidKeys:
        return ApprovalSummary(
            id=execution.id,
            status=reading.status_of(execution),
            action=UNREADABLE,
            run_id=execution.parent_id,
            digest="",
            requested_at=execution.start_time,
        )


async def ended(client: Client, execution: WorkflowExecution, line: ApprovalSummary) -> Outcome:
    """``reading.ended`` for a list, likewise. Raises what that raises, but for a missing key."""
    try:
        return await reading.ended(client, execution, line.digest)
    except InvalidKeys:
        return Outcome(approval_id=execution.id, status=line.status, digest=line.digest)
