"""One line of a list, which has to be there whatever can't be read of it."""

import re
from typing import get_args

from temporalio.client import Client, WorkflowExecution

from . import attributes, stored
from .keys import InvalidKeys
from .models import Outcome
from .requests import Risk
from .views import ApprovalSummary

UNREADABLE = "(encrypted with a key that is missing here)"
"""What a list shows of such a request."""

_HASHED = re.compile("[0-9a-f]{64}")
"""A requester as the index has the name where names are hashed: nothing to be shown."""


async def summary_of(client: Client, execution: WorkflowExecution) -> ApprovalSummary:
    """``stored.summary_of`` for a list, which one request without its key must not keep from being
    read: its line says so instead, with what the index has; its own record tells which key."""
    try:
        return await stored.summary_of(client, execution)
    except InvalidKeys:
        return _indexed(execution)


async def ended(client: Client, execution: WorkflowExecution, line: ApprovalSummary) -> Outcome:
    """``stored.ended`` for a list, likewise. Raises what that raises, but for a missing key."""
    try:
        return await stored.ended(client, execution, line.digest)
    except InvalidKeys:
        return Outcome(approval_id=execution.id, status=line.status, digest=line.digest)


def _indexed(execution: WorkflowExecution) -> ApprovalSummary:
    """What the search attributes tell, which nobody encrypts. What they don't is None: no default."""
    index = execution.typed_search_attributes
    risk, requester = index.get(attributes.RISK), index.get(attributes.REQUESTER)
    return ApprovalSummary(
        id=execution.id,
        status=stored.status_of(execution),
        action=UNREADABLE,
        tool=index.get(attributes.TOOL),
        run_id=execution.parent_id,
        requester=None if requester and _HASHED.fullmatch(requester) else requester,
        checkpoint=index.get(attributes.CHECKPOINT),
        risk=next((one for one in get_args(Risk) if one == risk), None),
        audience=tuple(index.get(attributes.AUDIENCE) or ()),
        quorum=None,
        stage=None,
        attempt=None,
        digest="",
        readable=False,
        requested_at=execution.start_time,
        due=index.get(attributes.DEADLINE),
    )
