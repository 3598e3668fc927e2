"""However a parent ends, nobody is asked on its behalf any more; what ends a request shuts the gate."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError

from clearance import AlreadyDecided, ApprovalClient, ApprovalView, Outcome, Refused, attributes
from cli.settings import Settings

from . import parents
from .raw import history, only, reset
from .support import eventually

DEPLOY = "Deploy?"


class Stage:
    """A worker with somebody else's workflows beside the approvals worker."""

    def __init__(self, client: Client, settings: Settings, approvals: ApprovalClient) -> None:
        self.client = client
        self.approvals = approvals
        self._settings = settings

    async def start(self, type: Any, *args: Any, **options: Any) -> parents.Parent:
        """Start a parent; what it takes comes before the approvals queue."""
        return await parents.start(
            *(self.client, type, self._settings.agents_queue),
            *(*args, self._settings.approvals_queue),
            **options,
        )

    async def pending(self) -> list[str]:
        return [one.id async for one in self.approvals.pending()]

    async def waits_for(self, *ids: str) -> None:
        async def listed() -> bool:
            return sorted(await self.pending()) == sorted(ids)

        await eventually(listed)

    async def withdrawn(self, id: str) -> ApprovalView:
        """The record, once the request is withdrawn for readers and listed no more."""

        async def view() -> ApprovalView | None:
            found = await self.approvals.get(id)
            return found if found.status == "withdrawn" else None

        found = await eventually(view)
        assert found is not None
        await self.waits_for()
        return found


@pytest.fixture
async def stage(
    temporal: Client, settings: Settings, approvals: ApprovalClient, worker_running: object
) -> AsyncIterator[Stage]:
    async with parents.worker_for(temporal, settings.agents_queue):
        yield Stage(temporal, settings, approvals)


async def _knows_of_its_child(parent: parents.Parent) -> bool:
    """Cancelled before that, it has no child to ask: its end terminates the one that starts."""
    kinds = [event.event_type for event in (await parent.fetch_history()).events]
    return (
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED in kinds
        and kinds[-1] == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    )


@pytest.mark.parametrize("how", ["complete", "fail", "continue"])
async def test_a_parent_that_ends_with_a_request_open_withdraws_it(stage: Stage, how: str) -> None:
    parent = await stage.start(parents.Leaves)
    await stage.waits_for(f"{parent.id}.1")

    await parent.signal("end", how)

    view = await stage.withdrawn(f"{parent.id}.1")
    assert (view.decision, view.request.action) == (None, DEPLOY)
    with pytest.raises(AlreadyDecided, match="already withdrawn") as refused:
        await stage.approvals.approve(view.id, reviewer="ada@example.com")
    assert refused.value.status == "withdrawn"
    assert (await stage.approvals.wait(view.id)).status == "withdrawn"


async def test_a_parent_that_is_terminated_withdraws_its_request(stage: Stage) -> None:
    parent = await stage.start(parents.Asks, [DEPLOY])
    await stage.waits_for(f"{parent.id}.1")

    await parent.terminate(reason="test")

    assert (await stage.withdrawn(f"{parent.id}.1")).decision is None
    child = stage.client.get_workflow_handle(f"{parent.id}.1")
    assert (await child.describe()).status == WorkflowExecutionStatus.TERMINATED


async def test_a_parent_that_runs_out_of_time_withdraws_its_request(stage: Stage) -> None:
    parent = await stage.start(parents.Asks, [DEPLOY], execution_timeout=timedelta(seconds=2))
    await stage.waits_for(f"{parent.id}.1")

    assert (await stage.withdrawn(f"{parent.id}.1")).decision is None
    assert (await parent.describe()).status == WorkflowExecutionStatus.TIMED_OUT


async def test_a_parent_that_is_cancelled_ends_cancelled_and_its_request_says_it_was_withdrawn(
    stage: Stage,
) -> None:
    parent = await stage.start(parents.Asks, [DEPLOY])
    await stage.waits_for(f"{parent.id}.1")
    await eventually(lambda: _knows_of_its_child(parent))

    await parent.cancel()

    with pytest.raises(WorkflowFailureError) as ended:
        await parent.result()
    assert isinstance(ended.value.cause, CancelledError)
    view = await stage.withdrawn(f"{parent.id}.1")
    # The child was asked first, so unlike a terminated one it could write down what happened.
    assert [event.kind for event in view.events] == ["created", "withdrawn"]
    child = await stage.client.get_workflow_handle(view.id).describe()
    assert child.status == WorkflowExecutionStatus.CANCELED
    assert child.typed_search_attributes.get(attributes.STATUS) == "withdrawn"


@pytest.mark.parametrize("how", ["cancel", "terminate"])
async def test_a_request_ended_by_hand_is_a_withdrawal_to_its_parent(
    stage: Stage, how: str
) -> None:
    parent = await stage.start(parents.Asks, [DEPLOY])
    await stage.waits_for(f"{parent.id}.1")

    await getattr(stage.client.get_workflow_handle(f"{parent.id}.1"), how)()

    [outcome] = await outcomes(parent)
    assert (outcome.status, outcome.approved, outcome.decision) == ("withdrawn", False, None)
    assert outcome.reason == "the request was withdrawn"
    await stage.withdrawn(outcome.approval_id)


async def test_ending_one_request_by_hand_leaves_the_others_waiting(stage: Stage) -> None:
    parent = await stage.start(parents.Asks, ["First?", "Second?"])
    await stage.waits_for(f"{parent.id}.1", f"{parent.id}.2")

    await stage.client.get_workflow_handle(f"{parent.id}.1").terminate(reason="test")
    await stage.waits_for(f"{parent.id}.2")
    [pending] = await parent.query("pending_approvals")
    assert (pending["id"], pending["action"]) == (f"{parent.id}.2", "Second?")
    await stage.approvals.approve(f"{parent.id}.2", reviewer="ada@example.com")

    assert [one.status for one in await outcomes(parent)] == ["withdrawn", "approved"]


async def test_a_decision_and_the_parents_cancellation_at_once_leave_no_contradiction(
    stage: Stage,
) -> None:
    """Several times over: the two must meet in one workflow task, which only chance decides."""
    started = [await stage.start(parents.Asks, [DEPLOY]) for _ in range(8)]
    ids = [f"{parent.id}.1" for parent in started]
    await stage.waits_for(*ids)

    answers = await asyncio.gather(
        *(decide(stage, id) for id in ids), *(parent.cancel() for parent in started)
    )

    ended = [(await stage.approvals.wait(id, timedelta(seconds=20))).status for id in ids]
    assert ended == answers[: len(ids)]


async def decide(stage: Stage, id: str) -> str:
    try:
        return (await stage.approvals.approve(id, reviewer="ada@example.com")).status
    except AlreadyDecided as error:
        return error.status


async def outcomes(parent: parents.Parent) -> list[Outcome]:
    return [Outcome.model_validate(one) for one in await parent.result()]


async def test_a_parent_reset_to_after_the_asking_keeps_its_request_and_takes_the_decision(
    stage: Stage,
) -> None:
    parent = await stage.start(parents.Asks, [DEPLOY])
    id = f"{parent.id}.1"
    await stage.waits_for(id)
    asked = await stage.approvals.get(id)

    async def started() -> bool:
        # The second workflow task is the one that learns of the child's start.
        tasks = only(await history(parent), EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
        return len(tasks) == 2

    await eventually(started)
    again = await reset(stage.client, parent, to=1)

    await stage.waits_for(id)
    assert (await stage.approvals.get(id)).requested_at == asked.requested_at
    await stage.approvals.approve(id, reviewer="ada@example.com", digest=asked.digest)
    assert [one.status for one in await outcomes(again)] == ["approved"]


async def test_a_parent_reset_to_before_the_asking_replaces_its_request_under_the_same_id(
    stage: Stage,
) -> None:
    parent = await stage.start(parents.Asks, [DEPLOY])
    id = f"{parent.id}.1"
    await stage.waits_for(id)
    old = await stage.approvals.get(id)

    again = await reset(stage.client, parent, to=0)

    await asked_again(stage, old)
    await stage.waits_for(id)
    # The same words as before: who read them has read this request.
    await stage.approvals.approve(id, reviewer="ada@example.com", digest=old.digest)
    assert [one.status for one in await outcomes(again)] == ["approved"]


async def test_a_decision_of_a_replaced_request_is_refused_if_it_asked_for_something_else(
    stage: Stage,
) -> None:
    parent = await stage.start(parents.Wires)
    id = f"{parent.id}.1"
    await stage.waits_for(id)
    old = await stage.approvals.get(id)

    again = await reset(stage.client, parent, to=0)

    new = await asked_again(stage, old)
    assert new.digest != old.digest
    with pytest.raises(Refused, match="changed since you read it"):
        await stage.approvals.approve(id, reviewer="ada@example.com", digest=old.digest)
    await stage.approvals.approve(id, reviewer="ada@example.com", digest=new.digest)
    outcome = Outcome.model_validate(await again.result())
    assert (outcome.status, outcome.digest) == ("approved", new.digest)


async def asked_again(stage: Stage, old: ApprovalView) -> ApprovalView:
    async def probe() -> ApprovalView | None:
        found = await stage.approvals.get(old.id)
        replaced = found.requested_at != old.requested_at and found.complete
        return found if replaced and found.status == "pending" else None

    found = await eventually(probe)
    assert found is not None
    return found


async def test_a_wait_for_a_replaced_request_goes_on_with_the_new_one(stage: Stage) -> None:
    parent = await stage.start(parents.Asks, [DEPLOY])
    id = f"{parent.id}.1"
    await stage.waits_for(id)
    old = await stage.approvals.get(id)
    waiting = asyncio.create_task(stage.approvals.wait(id, timedelta(seconds=30)))

    await reset(stage.client, parent, to=0)
    await asked_again(stage, old)
    assert not waiting.done()
    await stage.approvals.approve(id, reviewer="ada@example.com")

    assert (await waiting).approved


async def test_a_malformed_request_of_a_parent_fails_the_parent_and_asks_nobody(
    stage: Stage,
) -> None:
    parent = await stage.start(parents.Asks, ["x" * 501])

    with pytest.raises(WorkflowFailureError) as failed:
        await parent.result()

    assert "at most 500 characters" in str(failed.value.cause)
    initiated = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
    assert only(await history(parent), initiated) == []
