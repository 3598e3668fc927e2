"""Histories of runs that go by a policy, and of what a decision can carry: cases to record."""

import json
from contextlib import suppress
from typing import Any

from temporalio.client import WorkflowUpdateFailedError

from clearance import ApprovalRequest

from .raw import Handle
from .studio import ADA, WIRE, Record, Studio, into, waits_for
from .support import call, eventually, says

CASES: dict[str, Record] = {}

case = into(CASES)


def refunds(cents: int, call_id: str) -> Any:
    return call("issue_refund", json.dumps({"order_id": "A-1001", "cents": cents}), call_id)


LOOK_UP = call("look_up_order", json.dumps({"order_id": "A-1001"}))


async def _policed(studio: Studio, id: str) -> Handle:
    return await studio.run("refund", id, [LOOK_UP], [refunds(100, "call_2")], [says("Refunded")])


@case
async def agent_policy_pending(studio: Studio) -> Handle:
    handle = await _policed(studio, "agent-policy-pending")
    await eventually(lambda: waits_for(handle, 1))
    return handle


@case
async def agent_policy_approved(studio: Studio) -> Handle:
    handle = await _policed(studio, "agent-policy-approved")
    await studio.send("agent-policy-approved.1")
    return handle


@case
async def agent_policy_edited(studio: Studio) -> Handle:
    handle = await _policed(studio, "agent-policy-edited")
    await studio.send("agent-policy-edited.1", arguments={"order_id": "A-1001", "cents": 50})
    return handle


@case
async def agent_policy_stopped(studio: Studio) -> Handle:
    """One of two deletions asked for at once is rejected, which ends the run."""
    several = [
        call("delete_records", json.dumps({"customers": [{"id": id, "name": "-"}]}), f"call_{id}")
        for id in (1, 2)
    ]
    handle = await studio.run("cleanup", "agent-policy-stopped", several)
    await eventually(lambda: waits_for(handle, 2))
    await studio.send("agent-policy-stopped.2", approved=False, reason="Not these")
    return handle


@case
async def agent_in_place_pending(studio: Studio) -> Handle:
    """As above, its policy read by a local activity."""
    handle = await _policed(studio, "agent-in-place-pending")
    await eventually(lambda: waits_for(handle, 1))
    return handle


@case
async def agent_in_place_approved(studio: Studio) -> Handle:
    handle = await _policed(studio, "agent-in-place-approved")
    await studio.send("agent-in-place-approved.1")
    return handle


async def _granted(studio: Studio, id: str, last: int) -> Handle:
    """A refund with a grant for small ones, one of those, and a last one."""
    turns = [[refunds(cents, f"call_{cents}")] for cents in (10, 20, last)]
    handle = await studio.run("refund", id, *turns, [says("Refunded")])
    terms = {"condition": "args.cents < 50", "max_uses": 5, "expires_in": "P30D"}
    await studio.send(f"{id}.1", grant=terms)
    return handle


@case
async def agent_grant_used(studio: Studio) -> Handle:
    return await _granted(studio, "agent-grant-used", 30)


@case
async def agent_grant_used_and_revoked_pending(studio: Studio) -> Handle:
    """The last refund is none of the small ones; meanwhile the grant is revoked."""
    id = "agent-grant-used-and-revoked-pending"
    handle = await _granted(studio, id, 60)
    await eventually(lambda: asked(handle, f"{id}.3"))
    await handle.signal("revoke_grant", {"grant_id": f"{id}.1", "reviewer": ADA})
    await handle.query("grants")  # answered once the signal has been taken
    return handle


async def asked(run: Handle, id: str) -> bool:
    return [one["id"] for one in await run.query("pending_approvals")] == [id]


@case
async def approval_by_grant(studio: Studio) -> Handle:
    """The approval that the use of a grant leaves."""
    run = await _granted(studio, "run-with-a-grant", 30)
    await run.result()
    return studio.client.get_workflow_handle("run-with-a-grant.2")


EDITABLE = ApprovalRequest(
    **{
        **dict(WIRE),
        "arguments": {"cents": 4_200, "to": "ACME", "token": "tok-31"},
        "editable": ("cents",),
        "arguments_schema": {"properties": {"cents": {"maximum": 5_000}}},
        "description_template": "Wire {cents} cents to {to}",
        "self_approval": ("editor",),  # so it was of itself before audiences were resolved
    }
).concealed()


@case
async def approval_edited(studio: Studio) -> Handle:
    handle = await studio.ask(EDITABLE, "approval-edited")
    with suppress(WorkflowUpdateFailedError):  # more than the schema allows
        await studio.send(handle.id, arguments={**EDITABLE.arguments, "cents": 9_000})
    await studio.send(handle.id, arguments={**EDITABLE.arguments, "cents": 4_000})
    return handle


GRACE = "grace@example.com"
TWO = WIRE.model_copy(update={"audience": (ADA, GRACE), "quorum": 2})


async def _first_of_two(studio: Studio, id: str) -> Handle:
    handle = await studio.ask(TWO, id)
    await studio.send(id)
    with suppress(WorkflowUpdateFailedError):  # the same person again
        await studio.send(id)
    return handle


@case
async def approval_quorum_1_of_2_pending(studio: Studio) -> Handle:
    return await _first_of_two(studio, "approval-quorum-1-of-2-pending")


@case
async def approval_edited_pending(studio: Studio) -> Handle:
    """Changed by somebody, whose changes wait for two others."""
    people = (ADA, GRACE, "joan@example.com")
    request = TWO.model_copy(update={"audience": people, "editable": ("cents",)})
    handle = await studio.ask(request, "approval-edited-pending")
    await studio.send(handle.id, arguments={**WIRE.arguments, "cents": 4_000})
    return handle


@case
async def approval_quorum_approved(studio: Studio) -> Handle:
    handle = await _first_of_two(studio, "approval-quorum-approved")
    await studio.send(handle.id, reviewer=GRACE)
    return handle


@case
async def approval_confirm_phrase(studio: Studio) -> Handle:
    typed = WIRE.model_copy(update={"confirm_phrase": "{to} {cents}"})
    handle = await studio.ask(typed, "approval-confirm-phrase")
    with suppress(WorkflowUpdateFailedError):
        await studio.send(handle.id, confirmation="yes")
    await studio.send(handle.id, confirmation="ACME 4200")
    return handle
