"""A directory that is changed, broken and mended while requests wait: nothing is lost, nothing opens."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
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
WITHIN = timedelta(seconds=4)
SOON = ApprovalRequest(action="Pay", audience=("group:finance",), expires_in=WITHIN)
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


Scene = AsyncIterator[None]
"""Of one request: it goes as far as it does before the directory breaks, then until it is mended."""


async def decided(settings: Settings, approvals: ApprovalClient) -> Scene:
    """A decision waits and counts."""
    asked = await approvals.request(FINANCE)
    yield
    receipt = await impatient(approvals.temporal, settings).approve(asked.id, reviewer="ada")
    assert not receipt.in_effect
    view = await approvals.get(asked.id)
    assert (view.status, kinds(view)) == ("pending", ["created"])
    yield
    outcome = await approvals.wait(asked.id)
    assert outcome.decision is not None
    assert (outcome.status, outcome.decision.reviewer) == ("approved", "ada")
    assert kinds(await approvals.get(asked.id)) == ["created", "approved"]
    await replays(approvals.temporal.get_workflow_handle(asked.id))


async def several(settings: Settings, approvals: ApprovalClient) -> Scene:
    """What came is taken in its order."""
    asked = await approvals.request(FINANCE.model_copy(update={"quorum": 2, "requester": MARY}))
    handle = approvals.temporal.get_workflow_handle(asked.id)
    yield
    act = {"kind": "delegated", "who": ADA, "to": GRACE, "act_id": "one"}
    await handle.signal("record_decision", decision(FINANCE, reviewer=CLEO))
    await handle.signal("record_act", act)
    await handle.signal("record_decision", decision(FINANCE, reviewer=GRACE))
    await handle.signal("approve", True)
    await handle.signal("record_decision", decision(FINANCE, reviewer=ADA))
    await handle.signal("record_decision", decision(FINANCE, reviewer=BOB))
    assert kinds(await approvals.get(asked.id)) == ["created"]
    yield
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


async def decided_in_time(settings: Settings, approvals: ApprovalClient) -> Scene:
    """It counts although the deadline passes meanwhile."""
    asked = await approvals.request(SOON)
    handle = approvals.temporal.get_workflow_handle(asked.id)
    yield
    await handle.signal("record_decision", decision(SOON, reviewer=ADA))
    assert asked.deadline is not None
    await passed(asked.deadline)
    await eventually(lambda: tries(handle))
    late = decision(SOON, reviewer=BOB)
    await handle.signal("record_decision", late)
    assert (await approvals.get(asked.id)).status == "pending"
    yield
    outcome = await approvals.wait(asked.id)
    assert outcome.decision is not None
    assert (outcome.status, outcome.decision.reviewer) == ("approved", ADA)
    await replays(handle)


async def decided_too_late(settings: Settings, approvals: ApprovalClient) -> Scene:
    """It doesn't count, and the request expires."""
    handle = await started(approvals, SOON, settings)
    await eventually(lambda: is_taken(handle))
    yield
    await handle.signal("record_act", {"kind": "commented", "who": ADA, "text": "-", "act_id": "1"})
    await passed((await handle.describe()).start_time + WITHIN)
    await handle.signal("record_decision", decision(SOON, reviewer=ADA))
    assert (await approvals.get(handle.id)).status == "pending"
    yield
    assert (await approvals.wait(handle.id)).status == "expired"
    assert (await refusals(approvals, handle.id))[0].startswith(("too late", "already expired"))
    await replays(handle)


async def withdrawn(settings: Settings, approvals: ApprovalClient) -> Scene:
    """It can be withdrawn through Temporal, before anything is mended."""
    asked = await approvals.request(FINANCE)
    handle = approvals.temporal.get_workflow_handle(asked.id)
    yield
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
    yield


async def asked_meanwhile(settings: Settings, approvals: ApprovalClient) -> Scene:
    """One that is asked then waits, too, and can be withdrawn, too."""
    yield
    mended = await started(approvals, FINANCE, settings)
    cancelled = await started(approvals, FINANCE, settings)
    for one in (mended, cancelled):
        await one.signal("record_decision", decision(FINANCE, reviewer=ADA))
    for one in (mended, cancelled):
        await eventually(partial(tries, one))
        assert (await approvals.get(one.id)).status == "pending"
    await cancelled.cancel()
    assert (await approvals.wait(cancelled.id)).status == "withdrawn"
    assert kinds(await approvals.get(cancelled.id)) == ["created", "withdrawn", "refused"]
    yield
    assert (await approvals.wait(mended.id)).status == "approved"
    assert kinds(await approvals.get(mended.id)) == ["created", "approved"]
    await replays(cancelled)
    await replays(mended)


SCENES = (decided, several, decided_in_time, decided_too_late, withdrawn, asked_meanwhile)


@with_a_worker
async def test_what_comes_while_it_is_broken_waits_in_its_order_and_counts_as_of_when_it_came(
    settings: Settings, approvals: ApprovalClient
) -> None:
    """In several requests at once, of which one was decided in time, one too late, one is withdrawn."""
    scenes = [one(settings, approvals) for one in SCENES]
    for text in (PEOPLE, BROKEN, PEOPLE):
        rewrite(settings, text)
        await asyncio.gather(*(anext(one, None) for one in scenes))


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
