"""An agent that stops for a person: what its history, its queries and its result show."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType, ParentClosePolicy, WorkflowIdReusePolicy
from temporalio.client import Client

from clearance import ApprovalClient
from cli.settings import Settings

from .conftest import Serve
from .plays import Play, Stage, asks
from .raw import RUNS_LEFT_OPEN, history, only
from .support import eventually, says

pytestmark = RUNS_LEFT_OPEN


@pytest.fixture
async def stage(
    settings: Settings, approvals: ApprovalClient, serve: Serve
) -> AsyncIterator[Stage]:
    stage = Stage(settings, approvals, serve)
    yield stage
    await stage.close()


async def test_the_request_is_a_child_of_the_run_exactly_as_the_card_says(
    stage: Stage, settings: Settings, temporal: Client
) -> None:
    play = await stage.play([asks("Wire the money")], [says("Done")])
    [id] = await play.waits_for(1)

    initiated = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
    [event] = only(await history(play.handle), initiated)
    child = event.start_child_workflow_execution_initiated_event_attributes
    assert child.workflow_type.name == "ApprovalWorkflow"
    assert child.parent_close_policy == ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE
    assert child.task_queue.name == settings.approvals_queue
    assert child.workflow_id == id == f"{play.handle.id}.1"
    reuse = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING
    assert child.workflow_id_reuse_policy == reuse

    await temporal.get_workflow_handle(id).signal("approve", True)
    assert (await play.result()).approvals[0].approved
    [signalled] = only(
        await history(temporal.get_workflow_handle(id)),
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    )
    assert signalled.workflow_execution_signaled_event_attributes.signal_name == "approve"


async def test_an_approval_lets_the_agent_go_on_from_where_it_stopped(stage: Stage) -> None:
    play = await stage.play([asks("Wire the money")], [says("Wired")])
    [id] = await play.waits_for(1)

    receipt = await play.approvals.approve(id, reviewer="ada@example.com", reason="Fine")

    result = await play.result()
    assert (play.told(), result.output) == (["Approved"], "Wired")
    [outcome] = result.approvals
    assert (outcome.approval_id, outcome.status) == (id, "approved")
    assert outcome.decision is not None
    assert (outcome.decision.reviewer, outcome.decision.reason) == ("ada@example.com", "Fine")
    assert outcome.decision.at == receipt.recorded_at
    assert len(play.model.inputs) == 2


@pytest.mark.parametrize(
    ("reason", "told"),
    [("Wrong account", "Rejected: Wrong account"), ("", "Rejected: no reason given")],
)
async def test_a_rejection_and_its_reason_are_told_to_the_agent_which_goes_on(
    stage: Stage, reason: str, told: str
) -> None:
    play = await stage.play([asks("Wire the money")], [says("I did not wire it")])
    [id] = await play.waits_for(1)

    await play.approvals.reject(id, reviewer="ada@example.com", reason=reason)

    result = await play.result()
    assert (play.told(), result.output) == ([told], "I did not wire it")
    assert [one.status for one in result.approvals] == ["rejected"]


async def test_an_expired_request_is_told_to_the_agent(stage: Stage) -> None:
    play = await stage.play(
        [asks("Wire the money")], [says("Nobody answered")], expires_in=timedelta(seconds=1)
    )

    result = await play.result()

    assert play.told() == ["Expired: nobody decided in time"]
    assert [one.status for one in result.approvals] == ["expired"]


async def test_two_requests_wait_at_once_and_are_decided_in_any_order(stage: Stage) -> None:
    play = await stage.play(
        [asks("First", "call_1"), asks("Second", "call_2")], [says("Half of it")]
    )
    first, second = await play.waits_for(2)

    waiting = await play.handle.query("pending_approvals")
    assert [(one["id"], one["action"]) for one in waiting] == [
        (first, "First"),
        (second, "Second"),
    ]
    assert all(one["since"].startswith("20") for one in waiting)

    await play.approvals.approve(second, reviewer="ada@example.com")
    await play.waits_for(1)
    assert await eventually(lambda: only_one(play)) == first
    await play.approvals.reject(first, reviewer="bob@example.com", reason="Not this one")

    result = await play.result()
    assert play.told() == ["Rejected: Not this one", "Approved"]
    assert [(one.approval_id, one.status) for one in result.approvals] == [
        (second, "approved"),
        (first, "rejected"),
    ]
    assert await play.handle.query("pending_approvals") == []


async def only_one(play: Play) -> str | None:
    """The request the run still waits for, once it is a single one."""
    waiting: list[dict[str, str]] = await play.handle.query("pending_approvals")
    return waiting[0]["id"] if len(waiting) == 1 else None
