"""Histories of requests that are handed to the ledger after their end: cases that no other has.

The recordings of further ones, ``approval-handed-...``, are of what ``record_histories`` plays, too.
"""

from .raw import Handle, is_taken
from .studio import ADA, WIRE, Record, Studio, into
from .support import eventually
from .telling_histories import TOLD

CASES: dict[str, Record] = {}

case = into(CASES)


@case
async def approval_handed_quorum_edited(studio: Studio) -> Handle:
    people = (ADA, "bob@example.com", "cleo@example.com")
    handle = await studio.ask(
        WIRE.model_copy(update={"audience": people, "quorum": 2, "editable": True}),
        "approval-handed-quorum-edited",
    )
    await studio.approvals.approve(handle.id, reviewer=ADA, changes={"cents": 4_100})
    for person in people[1:]:  # who changed it doesn't count
        await studio.approvals.approve(handle.id, reviewer=person)
    return handle


@case
async def approval_handed_told_staged_approved(studio: Studio) -> Handle:
    """Its end is in one workflow task, and who is told of it may be told in another."""
    handle = await studio.ask(TOLD, "approval-handed-told-staged-approved")
    await studio.approvals.approve(handle.id, reviewer=ADA)
    await studio.approvals.approve(handle.id, reviewer="tess@example.com", reason="Fine")
    return handle


@case
async def approval_handed_bare_pending(studio: Studio) -> Handle:
    handle = await studio.client.start_workflow(
        "ApprovalWorkflow",
        "Deploy?",
        id="approval-handed-bare-pending",
        task_queue=studio.settings.approvals_queue,
    )
    await eventually(lambda: is_taken(handle))
    return handle
