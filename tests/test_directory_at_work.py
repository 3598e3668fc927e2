"""A directory that is changed, broken and mended while requests wait: nothing is lost, nothing opens."""

import json
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from clearance import ApprovalClient, ApprovalRequest, Refused, contract
from cli.settings import Settings

from .agent_runs import Play, Start, played, told
from .conftest import Serve
from .directory import (
    ADA,
    BOB,
    CLEO,
    EVE,
    GRACE,
    MARY,
    PEOPLE,
    always,
    forgetful,
    kinds,
    replays,
    reviewed,
    rewrite,
)
from .office import done, policed
from .raw import Handle, ask, decision, history, impatient, is_taken, only, refusals
from .support import PlayedModel, call, eventually, says
from .test_time import passed, started

FINANCE = ApprovalRequest(action="Pay", audience=("group:finance",))
BROKEN = "[groups]\nfinance = 'ada'\n"

with_a_worker = pytest.mark.usefixtures("worker_running")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return reviewed(settings)


async def markers(handle: Handle) -> int:
    """How often a directory has answered this request."""
    found = only(await history(handle), EventType.EVENT_TYPE_MARKER_RECORDED)
    asked = [str(one.marker_recorded_event_attributes.details) for one in found]
    return sum(
        contract.ACTIVITY_MEMBERS in one or contract.ACTIVITY_STANDING in one for one in asked
    )


async def tries(handle: Handle) -> bool:
    """Whether a question has failed so often that the history tells of it."""
    return bool(only(await history(handle), EventType.EVENT_TYPE_TIMER_STARTED))


@with_a_worker
async def test_a_decision_waits_while_the_directory_is_broken_and_counts_once_it_is_mended(
    temporal: Client, settings: Settings, approvals: ApprovalClient
) -> None:
    asked = await approvals.request(FINANCE)
    rewrite(settings, BROKEN)

    receipt = await impatient(temporal, settings).approve(asked.id, reviewer="ada")

    assert not receipt.in_effect
    view = await approvals.get(asked.id)
    assert (view.status, kinds(view)) == ("pending", ["created"])
    rewrite(settings, PEOPLE)
    outcome = await approvals.wait(asked.id)
    assert outcome.decision is not None
    assert (outcome.status, outcome.decision.reviewer) == ("approved", "ada")
    assert kinds(await approvals.get(asked.id)) == ["created", "approved"]
    await replays(temporal.get_workflow_handle(asked.id))


@with_a_worker
async def test_what_came_while_it_was_broken_is_taken_in_its_order(
    settings: Settings, approvals: ApprovalClient
) -> None:
    asked = await approvals.request(FINANCE.model_copy(update={"quorum": 2, "requester": MARY}))
    handle = approvals.temporal.get_workflow_handle(asked.id)
    rewrite(settings, BROKEN)
    act = {"kind": "delegated", "who": ADA, "to": GRACE, "act_id": "one"}

    await handle.signal("record_decision", decision(FINANCE, reviewer=CLEO))
    await handle.signal("record_act", act)
    await handle.signal("record_decision", decision(FINANCE, reviewer=GRACE))
    await handle.signal("approve", True)
    await handle.signal("record_decision", decision(FINANCE, reviewer=ADA))
    await handle.signal("record_decision", decision(FINANCE, reviewer=BOB))
    assert kinds(await approvals.get(asked.id)) == ["created"]
    rewrite(settings, PEOPLE)

    assert (await approvals.wait(asked.id)).approved
    view = await approvals.get(asked.id)
    assert [(one.kind, one.who, one.on_behalf_of) for one in view.events[1:]] == [
        ("refused", CLEO, None),
        ("delegated", ADA, None),
        ("approved", GRACE, ADA),
        ("refused", None, None),
        ("refused", ADA, None),
        ("approved", BOB, None),
    ]
    await replays(handle)


@with_a_worker
async def test_made_in_time_it_counts_though_the_deadline_passes_before_it_is_mended(
    settings: Settings, approvals: ApprovalClient
) -> None:
    request = ApprovalRequest(**{**dict(FINANCE), "expires_in": "PT5S"})
    asked = await approvals.request(request)
    handle = approvals.temporal.get_workflow_handle(asked.id)
    rewrite(settings, BROKEN)
    await handle.signal("record_decision", decision(request, reviewer=ADA))
    assert asked.deadline is not None
    await passed(asked.deadline)
    await eventually(lambda: tries(handle))
    late = decision(request, reviewer=BOB)
    await handle.signal("record_decision", late)
    assert (await approvals.get(asked.id)).status == "pending"

    rewrite(settings, PEOPLE)

    outcome = await approvals.wait(asked.id)
    assert outcome.decision is not None
    assert (outcome.status, outcome.decision.reviewer) == ("approved", ADA)
    await replays(handle)


@with_a_worker
async def test_made_too_late_it_does_not_count_and_the_request_expires_once_it_is_mended(
    settings: Settings, approvals: ApprovalClient
) -> None:
    request = ApprovalRequest(**{**dict(FINANCE), "expires_in": "PT5S"})
    handle = await started(approvals, request, settings)
    await eventually(lambda: is_taken(handle))
    rewrite(settings, BROKEN)
    await handle.signal("record_act", {"kind": "commented", "who": ADA, "text": "-", "act_id": "1"})
    await passed((await handle.describe()).start_time + timedelta(seconds=5))
    await handle.signal("record_decision", decision(request, reviewer=ADA))
    assert (await approvals.get(handle.id)).status == "pending"

    rewrite(settings, PEOPLE)

    assert (await approvals.wait(handle.id)).status == "expired"
    assert (await refusals(approvals, handle.id))[0].startswith(("too late", "already expired"))
    await replays(handle)


@with_a_worker
async def test_while_it_is_broken_a_request_can_still_be_withdrawn_through_temporal(
    settings: Settings, approvals: ApprovalClient
) -> None:
    asked = await approvals.request(FINANCE)
    handle = approvals.temporal.get_workflow_handle(asked.id)
    rewrite(settings, BROKEN)
    await handle.signal("record_decision", decision(FINANCE, reviewer=ADA))
    await eventually(lambda: tries(handle))
    await handle.signal("record_decision", decision(FINANCE, reviewer=BOB))

    await handle.cancel()

    assert (await approvals.wait(asked.id)).status == "withdrawn"
    view = await approvals.get(asked.id)
    assert view.status == "withdrawn"
    assert kinds(view) == ["created", "withdrawn", "refused", "refused"]
    assert {one.who for one in view.events[2:]} == {ADA, BOB}
    await replays(handle)


@pytest.mark.parametrize("ends", [False, True], ids=["mended", "cancelled"])
async def test_a_request_made_while_it_is_broken_waits_too(
    settings: Settings, approvals: ApprovalClient, serve: Serve, ends: bool
) -> None:
    async with serve():
        rewrite(settings, BROKEN)
        handle = await started(approvals, FINANCE, settings)
        await handle.signal("record_decision", decision(FINANCE, reviewer=ADA))
        await eventually(lambda: tries(handle))
        assert (await approvals.get(handle.id)).status == "pending"
        if ends:
            await handle.cancel()
        else:
            rewrite(settings, PEOPLE)
        status = "withdrawn" if ends else "approved"
        assert (await approvals.wait(handle.id)).status == status
        after = ["created", "withdrawn", "refused"] if ends else ["created", "approved"]
        assert kinds(await approvals.get(handle.id)) == after
    await replays(handle)


async def test_a_worker_that_is_replaced_meanwhile_takes_it_up_also_without_memory(
    temporal: Client, settings: Settings, approvals: ApprovalClient, serve: Serve
) -> None:
    async with serve():
        asked = await approvals.request(FINANCE.model_copy(update={"quorum": 2}))
        handle = temporal.get_workflow_handle(asked.id)
        await approvals.approve(asked.id, reviewer=ADA)
        rewrite(settings, BROKEN)
        await handle.signal("record_decision", decision(FINANCE, reviewer=BOB))
        await eventually(lambda: tries(handle))
    async with forgetful(temporal, settings):
        await eventually(lambda: tries(handle))
        rewrite(settings, PEOPLE)
        assert (await approvals.wait(asked.id)).approved
    await replays(handle)


@with_a_worker
async def test_where_anyone_may_decide_no_directory_is_asked(
    settings: Settings, approvals: ApprovalClient
) -> None:
    rewrite(settings, BROKEN)
    handle = await ask(approvals, "Pay")

    assert (await approvals.approve(handle.id, reviewer=EVE)).status == "approved"
    assert await markers(handle) == 0


@with_a_worker
async def test_a_delegation_written_into_it_meanwhile_counts_from_then_on(
    settings: Settings, approvals: ApprovalClient
) -> None:
    asked = await approvals.request(FINANCE)
    with pytest.raises(Refused, match="not in the audience"):
        await approvals.approve(asked.id, reviewer=GRACE)

    rewrite(settings, PEOPLE + always(ADA, GRACE))

    assert (await approvals.approve(asked.id, reviewer=GRACE)).status == "approved"


POLICY = """
    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = "^pay$"
    audience = ["group:finance"]
"""


def pays(call_id: str = "call_1") -> Any:
    return call("pay", json.dumps({"to": "Ada", "cents": 100}), call_id)


async def test_who_started_the_run_does_not_approve_what_its_agent_wants_to_do(
    settings: Settings, approvals: ApprovalClient, serve: Serve
) -> None:
    settings.policy, settings.agents = (one := policed(settings, POLICY)).policy, one.agents
    play: Start = played(settings, serve)
    async with play([pays()], agent="payer", requester="ada") as (run, model):
        [waiting] = await run.waits_for()
        with pytest.raises(Refused, match=f"{ADA} asked for this"):
            await approvals.approve(waiting.id, reviewer=ADA)
        await approvals.approve(waiting.id, reviewer=BOB)
        await run.result()
    assert told(model) == {"call_1": "pay done"}
    assert len(done(run.handle.id)) == 1


async def test_an_agent_is_told_that_nobody_could_decide_and_nothing_runs(
    settings: Settings, serve: Serve
) -> None:
    settings.policy, settings.agents = (one := policed(settings, POLICY)).policy, one.agents
    model = PlayedModel([pays()], [says("Finished.")])
    async with serve(model) as serving:
        rewrite(settings, "[groups]\nlegal = []\n")
        run = await Play(settings, serving).start("payer", requester=MARY)
        await run.result()
    assert told(model)["call_1"] == (
        "Nothing was asked and nothing ran: group:finance: reviewers.toml has no such group."
        " Calling again doesn't help: somebody has to change the policy, or somebody else has to ask."
    )
    assert done(run.handle.id) == []
