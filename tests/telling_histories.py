"""Histories of requests that tell their audience, and of who tells it: cases to record."""

from clearance import ApprovalRequest, Stage
from clearance.notices import Destination, notifier_id

from .raw import Handle
from .studio import ADA, WIRE, Record, Studio, into
from .support import eventually

CASES: dict[str, Record] = {}

case = into(CASES)

MARY = "mary@example.com"

TOLD = ApprovalRequest(
    **{
        **dict(WIRE),
        "audience": (),
        "requester": "eve@example.com",
        "stages": (
            Stage(name="lead", audience=("group:leads",)),
            Stage(name="books", audience=("group:books",)),
        ),
    }
)


async def _led(studio: Studio, id: str) -> Handle:
    handle = await studio.ask(TOLD, id)
    await studio.approvals.comment(id, who=ADA, text="Hm")
    await studio.approvals.approve(id, reviewer=ADA)
    return handle


@case
async def approval_told_pending(studio: Studio) -> Handle:
    """In its second stage, and handed over."""
    handle = await _led(studio, "approval-told-pending")
    await studio.approvals.delegate(handle.id, who="tess@example.com", to=MARY)
    return handle


@case
async def approval_told_approved(studio: Studio) -> Handle:
    handle = await _led(studio, "approval-told-approved")
    await studio.approvals.approve(handle.id, reviewer="tess@example.com", reason="Fine")
    return handle


@case
async def approval_told_withdrawn_by_cancel(studio: Studio) -> Handle:
    handle = await _led(studio, "approval-told-withdrawn-by-cancel")
    await handle.cancel()
    return handle


async def _notifier(studio: Studio, to: Destination, id: str) -> Handle:
    """After a message that could not be sent, which the request's record says."""
    stage = Stage(name="both", audience=(to.who,))
    await studio.ask(TOLD.model_copy(update={"stages": (stage,)}), id)
    handle = studio.client.get_workflow_handle(notifier_id(studio.settings.approvals_queue, to))

    async def failed() -> bool:
        if to.digest:
            return any(one.kind == "notified" for one in (await studio.approvals.get(id)).events)
        pending = (await handle.describe()).raw_description.pending_activities
        return any(one.attempt > 1 for one in pending)

    await eventually(failed)
    return handle


@case
async def notifier_people_pending(studio: Studio) -> Handle:
    to = Destination(who="sam@example.com", channel="mail")
    return await _notifier(studio, to, "approval-told-to-people")


@case
async def notifier_machine_pending(studio: Studio) -> Handle:
    to = Destination(who="group:books", channel="webhook:erp", digest=False)
    return await _notifier(studio, to, "approval-told-to-a-machine")
