"""Histories of requests that are handed to the ledger after their end: cases to record."""

from datetime import timedelta

from .raw import Handle, decision, is_taken
from .studio import ADA, WIRE, Record, Studio, into
from .support import eventually
from .telling_histories import TOLD

CASES: dict[str, Record] = {}

case = into(CASES)


@case
async def approval_handed_pending(studio: Studio) -> Handle:
    return await studio.ask(WIRE, "approval-handed-pending")


@case
async def approval_handed_approved(studio: Studio) -> Handle:
    handle = await studio.ask(WIRE, "approval-handed-approved")
    await studio.approvals.approve(handle.id, reviewer=ADA, reason="Fine")
    return handle


@case
async def approval_handed_rejected_by_stored_signal(studio: Studio) -> Handle:
    handle = await studio.ask(WIRE, "approval-handed-rejected-by-stored-signal")
    await handle.signal("record_decision", decision(WIRE, approved=False, reason="Not ours"))
    return handle


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
async def approval_handed_expired(studio: Studio) -> Handle:
    soon = WIRE.model_copy(update={"expires_in": timedelta(milliseconds=500)})
    return await studio.ask(soon, "approval-handed-expired")


@case
async def approval_handed_withdrawn_by_cancel(studio: Studio) -> Handle:
    handle = await studio.ask(WIRE, "approval-handed-withdrawn-by-cancel")
    await handle.cancel()
    return handle


async def _bare(studio: Studio, id: str) -> Handle:
    handle = await studio.client.start_workflow(
        "ApprovalWorkflow", "Deploy?", id=id, task_queue=studio.settings.approvals_queue
    )
    await eventually(lambda: is_taken(handle))
    return handle


@case
async def approval_handed_bare_pending(studio: Studio) -> Handle:
    return await _bare(studio, "approval-handed-bare-pending")


@case
async def approval_handed_bare_string(studio: Studio) -> Handle:
    handle = await _bare(studio, "approval-handed-bare-string")
    await handle.signal("approve", True)
    return handle
