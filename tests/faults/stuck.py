"""A known fault of the SDK, told from ours: docs/faults.md."""

from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.service import RPCError

from clearance import ApprovalClient

_OFTEN = 3
"""Workflow tasks that failed so; each further one will."""


async def is_stuck(client: ApprovalClient, id: str) -> bool:
    """Whether the server refuses what the SDK's core makes of an update that it has replayed."""
    failed, cause = (
        0,
        WorkflowTaskFailedCause.Value(
            "WORKFLOW_TASK_FAILED_CAUSE_BAD_UPDATE_WORKFLOW_EXECUTION_MESSAGE"
        ),
    )
    try:
        async for event in client.temporal.get_workflow_handle(id).fetch_history_events():
            if event.HasField("workflow_task_failed_event_attributes"):
                failed += event.workflow_task_failed_event_attributes.cause == cause
    except RPCError:
        return False
    return failed >= _OFTEN
