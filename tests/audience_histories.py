"""Histories of requests that name who decides, in stages, by when: cases to record."""

from contextlib import suppress
from datetime import timedelta

from clearance import ApprovalRequest, Refused, Stage
from clearance.contract import consumption_id

from .policy_histories import refunds
from .raw import Handle, is_taken
from .studio import ADA, WIRE, Record, Studio, into
from .support import eventually, says

CASES: dict[str, Record] = {}

case = into(CASES)

GRACE = "grace@example.com"
IDA = "ida@example.com"
MARY = "mary@example.com"

CHAIN = ApprovalRequest(
    **{
        **dict(WIRE),
        "audience": (),
        "requester": "eve@example.com",
        "editable": ("cents",),
        "stages": (
            Stage(name="lead", audience=("group:leads",), remind_after=(timedelta(days=1),)),
            Stage(name="director", when="args.cents > 100000", audience=("dora@example.com",)),
            Stage(name="finance", audience=("group:finance",), quorum=2, reject_quorum=1),
        ),
    }
)


async def _led(studio: Studio, id: str) -> Handle:
    """The lead has approved; somebody else's attempts are refused."""
    handle = await studio.ask(CHAIN, id)
    for stranger in (GRACE, "eve@example.com"):
        with suppress(Refused):
            await studio.approvals.approve(id, reviewer=stranger)
    await studio.approvals.approve(id, reviewer=ADA, reason="Fine")
    return handle


@case
async def approval_staged_pending(studio: Studio) -> Handle:
    return await _led(studio, "approval-staged-pending")


@case
async def approval_staged_approved(studio: Studio) -> Handle:
    handle = await _led(studio, "approval-staged-approved")
    await studio.approvals.approve(handle.id, reviewer=GRACE)
    await studio.approvals.approve(handle.id, reviewer=IDA)  # for Joan, who is away
    return handle


@case
async def approval_staged_edited(studio: Studio) -> Handle:
    """An edit brings in the director; who made it doesn't count."""
    handle = await studio.ask(CHAIN, "approval-staged-edited")
    await studio.approvals.approve(handle.id, reviewer=ADA, changes={"cents": 200_000})
    await studio.approvals.approve(handle.id, reviewer=MARY)
    await studio.approvals.reject(handle.id, reviewer="dora@example.com", reason="Too much")
    return handle


@case
async def approval_escalated_pending(studio: Studio) -> Handle:
    soon = timedelta(seconds=1)
    times = {
        "remind_after": (soon,),
        "escalate_to": (GRACE,),
        "escalate_after": 6 * soon,
    }  # apart on a busy machine, too
    handle = await studio.ask(WIRE.model_copy(update=times), "approval-escalated-pending")

    async def escalated() -> bool:
        events = (await studio.approvals.get(handle.id)).events
        return "escalated" in [event.kind for event in events]

    await eventually(escalated)
    return handle


@case
async def approval_delegated_and_talked_over(studio: Studio) -> Handle:
    asked = WIRE.model_copy(update={"requester": "eve@example.com"})
    handle = await studio.ask(asked, "approval-delegated-and-talked-over")
    await studio.approvals.ask(handle.id, "With tax?", who=ADA)
    await studio.approvals.answer(handle.id, "Yes.", who="eve@example.com")
    await studio.approvals.delegate(handle.id, to=GRACE, who=ADA)
    await studio.approvals.comment(handle.id, "Looking.", who=GRACE)
    await studio.approvals.request_changes(handle.id, reviewer=GRACE, feedback="Without tax")
    return handle


@case
async def approval_withdrawn_by_its_requester(studio: Studio) -> Handle:
    asked = WIRE.model_copy(update={"requester": "eve@example.com"})
    handle = await studio.ask(asked, "approval-withdrawn-by-its-requester")
    with suppress(Refused):
        await studio.approvals.withdraw(handle.id, who=ADA)
    await studio.approvals.withdraw(handle.id, who="eve@example.com", reason="Not needed")
    return handle


@case
async def approval_answered(studio: Studio) -> Handle:
    schema = {"type": "object", "properties": {"supplier": {"enum": ["ACME", "Initech"]}}}
    asked = WIRE.model_copy(update={"response_schema": schema})
    handle = await studio.ask(asked, "approval-answered")
    with suppress(Refused):
        await studio.approvals.approve(handle.id, reviewer=ADA, response={"supplier": "Other"})
    await studio.approvals.approve(handle.id, reviewer=ADA, response={"supplier": "ACME"})
    return handle


@case
async def approval_vouched_for(studio: Studio) -> Handle:
    """By two whom only their sign-in puts in the group, one of them through somebody else."""
    asked = WIRE.model_copy(update={"audience": ("group:oncall",), "quorum": 2})
    handle = await studio.ask(asked, "approval-vouched-for")
    with suppress(Refused):
        await studio.approvals.approve(handle.id, reviewer=GRACE)
    await studio.approvals.delegate(handle.id, to=GRACE, who=MARY, groups=("group:oncall",))
    await studio.approvals.approve(handle.id, reviewer=GRACE)
    await studio.approvals.approve(handle.id, reviewer=IDA, groups=("group:oncall", "group:x"))
    return handle


async def _taken(studio: Studio, id: str) -> Handle:
    """An approval whose permission somebody outside Temporal has taken."""
    asked = WIRE.model_copy(update={"usable_for": timedelta(seconds=5)})
    await studio.ask(asked, id)
    await studio.approvals.approve(id, reviewer=ADA)
    await studio.approvals.wait(id)
    permit = await studio.approvals.consume(id, digest=asked.digest, taker="bot")
    handle = studio.client.get_workflow_handle(consumption_id(permit.approval_id))
    await eventually(lambda: is_taken(handle))
    return handle


@case
async def consumption_pending(studio: Studio) -> Handle:
    return await _taken(studio, "approval-taken")


@case
async def consumption_reported(studio: Studio) -> Handle:
    """Twice, by an update and by a stored signal, and by somebody else."""
    handle = await _taken(studio, "approval-taken-and-done")
    said = {"taker": "bot", "succeeded": False, "summary": "no money"}
    await handle.signal("record_outcome", {**said, "taker": "other"})
    await handle.execute_update("report", said)
    await handle.signal("record_outcome", said)
    return handle


@case
async def agent_changes_requested(studio: Studio) -> Handle:
    """A refund is sent back with feedback, and approved at the second attempt."""
    id = "agent-changes-requested"
    turns = [[refunds(cents, f"call_{cents}")] for cents in (100, 50)]
    handle = await studio.run("refund", id, *turns, [says("Refunded")])
    said = {"approved": False, "changes_requested": True, "reason": "Half of it"}
    await studio.send(f"{id}.1", **said)
    await studio.send(f"{id}.2")
    return handle
