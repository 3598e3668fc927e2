"""However a run ends or is set back, what it asked for follows; and what is no run never starts."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from clearance import ApprovalClient, Refused, contract
from cli.settings import Settings

from .conftest import Serve
from .plays import Stage, asks
from .raw import RUNS_LEFT_OPEN, Handle, history, only, reset
from .support import PlayedModel, eventually, says, unique

pytestmark = RUNS_LEFT_OPEN


@pytest.fixture
async def stage(
    settings: Settings, approvals: ApprovalClient, serve: Serve
) -> AsyncIterator[Stage]:
    stage = Stage(settings, approvals, serve)
    yield stage
    await stage.close()


async def test_a_cancelled_run_ends_cancelled_and_withdraws_what_it_asked(
    stage: Stage,
) -> None:
    play = await stage.play([asks("First", "call_1"), asks("Second", "call_2")])
    ids = await play.waits_for(2)

    await play.handle.cancel()

    with pytest.raises(WorkflowFailureError) as ended:
        await play.handle.result()
    assert isinstance(ended.value.cause, CancelledError)
    await play.waits_for(0)
    for id in ids:
        assert (await play.approvals.get(id)).status == "withdrawn"
    assert len(play.model.inputs) == 1


async def test_a_terminated_run_withdraws_what_it_asked(stage: Stage) -> None:
    play = await stage.play([asks("First")], [says("never")])
    [id] = await play.waits_for(1)

    await play.handle.terminate(reason="test")

    await play.waits_for(0)
    assert (await play.approvals.get(id)).status == "withdrawn"


async def test_a_run_reset_to_after_the_asking_keeps_its_request(
    stage: Stage, temporal: Client
) -> None:
    play = await stage.play([asks("Wire the money")], [says("Wired")])
    [id] = await play.waits_for(1)
    asked = await play.approvals.get(id)
    await eventually(lambda: tasks_done(play.handle, 3))

    play.handle = await reset(temporal, play.handle, to=2)

    assert await play.waits_for(1) == [id]
    assert (await play.approvals.get(id)).requested_at == asked.requested_at
    await play.approvals.approve(id, reviewer="ada@example.com", digest=asked.digest)
    assert (await play.result()).output == "Wired"
    assert len(play.model.inputs) == 2


async def test_a_run_reset_to_before_the_asking_asks_anew_and_refuses_decisions_of_the_old_request(
    stage: Stage, temporal: Client
) -> None:
    play = await stage.play([asks("Wire 100 to ACME")], [asks("Wire 900 to ACME")], [says("Wired")])
    [id] = await play.waits_for(1)
    old = await play.approvals.get(id)

    play.handle = await reset(temporal, play.handle, to=0)

    async def replaced() -> bool:
        return (await play.approvals.get(id)).request.action == "Wire 900 to ACME"

    await eventually(replaced)
    assert await play.waits_for(1) == [id]
    with pytest.raises(Refused, match="changed since you read it"):
        await play.approvals.approve(id, reviewer="ada@example.com", digest=old.digest)
    await play.approvals.approve(id, reviewer="ada@example.com")
    result = await play.result()
    assert result.output == "Wired"
    assert [one.digest for one in result.approvals] != [old.digest]


async def tasks_done(handle: Handle, count: int) -> bool:
    """Model call, child's start, child's being known: each is a workflow task."""
    done = only(await history(handle), EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    return len(done) >= count


MALFORMED: dict[str, list[Any]] = {
    "nothing": [],
    "a word": ["Do it"],
    "an unknown agent": [{"agent": "nobody", "prompt": "Do it"}],
    "no prompt": [{"agent": "assistant"}],
    "an empty prompt": [{"agent": "assistant", "prompt": " "}],
    "a prompt over 100 KB": [{"agent": "assistant", "prompt": "x" * (100 * 1024 + 1)}],
    "an unknown field": [{"agent": "assistant", "prompt": "Do it", "approve_all": True}],
    "two arguments": [{"agent": "assistant", "prompt": "Do it"}, True],
}


@pytest.mark.parametrize("arguments", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_run_fails_at_once_and_calls_no_model(
    settings: Settings, temporal: Client, serve: Serve, arguments: list[Any]
) -> None:
    model = PlayedModel([says("never")])
    async with serve(model), asyncio.timeout(20):
        handle: Handle = await temporal.start_workflow(
            "AgentWorkflow", args=arguments, id=unique("run"), task_queue=settings.agents_queue
        )
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()

    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == contract.ERROR_INVALID_REQUEST
    assert model.inputs == []


@pytest.mark.parametrize("how", ["cancel", "terminate"])
async def test_a_request_ended_by_hand_is_told_to_the_agent_as_withdrawn(
    stage: Stage, temporal: Client, how: str
) -> None:
    play = await stage.play([asks("Wire the money")], [says("I did not wire it")])
    [id] = await play.waits_for(1)

    await getattr(temporal.get_workflow_handle(id), how)()

    result = await play.result()
    assert play.told() == ["Withdrawn: the request was withdrawn"]
    assert [one.status for one in result.approvals] == ["withdrawn"]
