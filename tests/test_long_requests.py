"""A request about which very much is said goes on in another execution, and stays one request."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from clearance import ApprovalClient, ApprovalRequest, ApprovalView, Refused, Stage
from clearance.ended import Ended
from cli.settings import Settings
from workflows import resuming

from . import parents
from .conftest import Serve
from .office import ADA, GRACE
from .raw import decision
from .support import eventually, unique

LINUS = "linus@example.com"
WIRE = ApprovalRequest(
    action="Wire 42.00 to ACME",
    tool="wire_money",
    arguments={"cents": 4_200, "to": "ACME"},
    arguments_schema={"type": "object"},
    editable=True,
    audience=(ADA, GRACE, LINUS),
    quorum=2,
)


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another execution goes on after 15 events."""
    monkeypatch.setattr(resuming, "_MANY_EVENTS", 15)


async def executions(client: Client, id: str) -> int:
    """How many have gone before the one that goes on."""
    query = f"WorkflowId = '{id}' AND ExecutionStatus = 'ContinuedAsNew'"
    return (await client.count_workflows(query)).count


async def flood(approvals: ApprovalClient, id: str, times: int, at_once: int = 8) -> None:
    """Attempts of somebody who may not decide."""
    limit = asyncio.Semaphore(at_once)

    async def attempt() -> None:
        async with limit:
            with pytest.raises(Refused):
                await approvals.approve(id, reviewer=unique("mallory"))

    await asyncio.gather(*(attempt() for _ in range(times)))


@pytest.mark.usefixtures("_soon", "worker_running")
async def test_what_was_decided_said_and_refused_is_one_record_over_all_executions(
    approvals: ApprovalClient, temporal: Client
) -> None:
    asked = await approvals.request(WIRE)
    changed = {"cents": 4_000, "to": "ACME"}
    await approvals.approve(asked.id, reviewer=LINUS, arguments=changed, decision_id="edit")
    await approvals.comment(asked.id, who=GRACE, text="Is that right?")
    await flood(approvals, asked.id, 16)
    before = await approvals.get(asked.id)
    first = await approvals.approve(asked.id, reviewer=GRACE, decision_id="first")
    await flood(approvals, asked.id, 16)

    assert await executions(temporal, asked.id) >= 2
    again = await approvals.approve(asked.id, reviewer=GRACE, decision_id="first")
    assert again.recorded_at == first.recorded_at
    view = await approvals.get(asked.id)
    assert (view.requested_at, view.deadline) == (before.requested_at, before.deadline)
    assert view.events[: len(before.events)] == before.events
    assert [one.sequence for one in view.events] == list(range(1, len(view.events) + 1))
    [line] = [one async for one in approvals.pending()]
    assert (line.id, line.requested_at) == (asked.id, before.requested_at)

    await approvals.approve(asked.id, reviewer=ADA, reason="Fine")
    ended = await approvals.get(asked.id)
    assert (ended.status, ended.edit and ended.edit.arguments) == ("approved", changed)
    assert sum(one.kind == "refused" for one in ended.events) == 32
    outcome = await approvals.wait(asked.id)
    assert outcome.approved is True
    assert outcome.digest == asked.digest


@pytest.mark.usefixtures("_soon", "worker_running")
async def test_a_stage_that_is_done_and_a_hand_over_stay_so(
    approvals: ApprovalClient, temporal: Client
) -> None:
    stages = (Stage(name="desk", audience=(ADA,)), Stage(name="board", audience=(GRACE,)))
    asked = await approvals.request(ApprovalRequest(action="Buy the mill", stages=stages))
    await approvals.approve(asked.id, reviewer=ADA)
    await approvals.delegate(asked.id, who=GRACE, to=LINUS)
    await flood(approvals, asked.id, 16)

    assert await executions(temporal, asked.id) >= 1
    assert (await approvals.get(asked.id)).stage == 2
    await approvals.approve(asked.id, reviewer=LINUS)
    assert (await approvals.wait(asked.id)).approved


@pytest.mark.usefixtures("_soon", "worker_running")
async def test_a_parent_follows_and_its_end_withdraws_the_execution_of_the_moment(
    approvals: ApprovalClient, temporal: Client, settings: Settings
) -> None:
    async with parents.worker_for(temporal, settings.agents_queue):
        queue = settings.approvals_queue
        args: Any = (settings.agents_queue, ["Deploy?"], queue)
        answered, left = [await parents.start(temporal, parents.Asks, *args) for _ in range(2)]
        for parent in (answered, left):
            handle = temporal.get_workflow_handle(f"{parent.id}.1")
            await eventually(partial(_is_listed, approvals, handle.id))
            for _ in range(12):  # a bare signal that is neither true nor false
                await handle.signal("approve", "perhaps")
            await eventually(partial(executions, temporal, handle.id))
        await temporal.get_workflow_handle(f"{answered.id}.1").signal("approve", True)
        [outcome] = await answered.result()
        assert outcome.approved is True
        await left.terminate()

        async def withdrawn() -> bool:
            return (await approvals.get(f"{left.id}.1")).status == "withdrawn"

        await eventually(withdrawn)


async def _is_listed(approvals: ApprovalClient, id: str) -> bool:
    return id in [one.id async for one in approvals.pending()]


@pytest.mark.usefixtures("_soon", "worker_running")
async def test_decisions_that_are_on_their_way_while_another_execution_begins_all_count(
    approvals: ApprovalClient, temporal: Client
) -> None:
    people = tuple(f"{n}@example.com" for n in range(20))
    terms: dict[str, Any] = {"audience": people, "quorum": 20}
    asked = await approvals.request(ApprovalRequest(action="Close the mill", **terms))

    await asyncio.gather(*(approvals.approve(asked.id, reviewer=name) for name in people))

    assert (await approvals.wait(asked.id)).approved
    assert await executions(temporal, asked.id) >= 1
    view = await approvals.get(asked.id)
    assert sorted(one.who or "" for one in view.events if one.kind == "approved") == sorted(people)


@pytest.mark.usefixtures("_soon", "worker_running")
async def test_a_request_that_knows_too_much_to_go_on_stays_and_is_decided(
    approvals: ApprovalClient, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "_MAX_BYTES", 100)
    asked = await approvals.request(WIRE.model_copy(update={"quorum": 1}))
    await flood(approvals, asked.id, 12)
    await approvals.approve(asked.id, reviewer=ADA)

    assert (await approvals.wait(asked.id)).approved
    assert await executions(temporal, asked.id) == 0


@pytest.mark.usefixtures("worker_running")
async def test_who_starts_a_request_cannot_make_up_what_it_goes_on_from(
    approvals: ApprovalClient, temporal: Client, settings: Settings
) -> None:
    forged = {
        "execution": "0",
        "requested_at": "2026-11-22T00:00:00Z",
        "resolves": False,
        **{name: {} for name in ("record", "attempts", "told")},
    }
    handle = await temporal.start_workflow(
        "ApprovalWorkflow",
        args=["Deploy?", forged],
        id=unique("forged"),
        task_queue=settings.approvals_queue,
    )
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    cause = raised.value.__cause__
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message) == (
        "InvalidRequest",
        "Input should be a valid dictionary or instance of ApprovalRequest",
    )
    assert (await handle.describe()).status == WorkflowExecutionStatus.FAILED


@pytest.mark.usefixtures("_soon", "worker_running")
async def test_signals_that_were_stored_while_no_worker_was_there_do_not_keep_a_decision_out(
    approvals: ApprovalClient, temporal: Client
) -> None:
    asked = await approvals.request(WIRE.model_copy(update={"quorum": 1}))
    handle = temporal.get_workflow_handle(asked.id)
    limit = asyncio.Semaphore(20)

    async def signal(number: int) -> None:
        async with limit:
            said = decision(WIRE, reviewer=f"mallory-{number}", decision_id=f"m-{number}")
            await handle.signal("record_decision", said)

    await asyncio.gather(*(signal(number) for number in range(40)))
    receipt = await approvals.approve(asked.id, reviewer=ADA)

    assert receipt.status == "approved"
    assert await executions(temporal, asked.id) >= 1


@pytest.mark.usefixtures("_soon")
async def test_what_a_build_cannot_go_on_from_waits_for_one_that_can_and_is_whole_in_the_ledger_too(
    approvals: ApprovalClient,
    temporal: Client,
    settings: Settings,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def of_a_newer_build(extra: Any) -> Any:
        return received(tuple({**one, "newer": True} for one in extra))

    async def is_stuck(id: str) -> bool:
        task = (await temporal.get_workflow_handle(id).describe()).raw_description
        return task.pending_workflow_task.attempt > 1 and await executions(temporal, id) == 1

    async def stuck() -> ApprovalView:
        """One whose tasks the server gives to another worker after two seconds, as none answers."""
        handle = await temporal.start_workflow(
            "ApprovalWorkflow",
            WIRE.model_dump(mode="json"),
            id=unique("newer"),
            task_queue=settings.approvals_queue,
            task_timeout=timedelta(seconds=2),
        )
        handle = temporal.get_workflow_handle(handle.id)
        await approvals.approve(handle.id, reviewer=GRACE, reason="Fine by me")
        before = await approvals.get(handle.id)
        for _ in range(15):
            await handle.signal("approve", "perhaps")
        await eventually(partial(is_stuck, handle.id))
        return before

    received = resuming.State.received
    monkeypatch.setattr(resuming.State, "received", of_a_newer_build)
    async with serve():
        waits, ends = await asyncio.gather(stuck(), stuck())
        ending = temporal.get_workflow_handle(ends.id)
        await ending.terminate(reason="by hand")
        description = await ending.describe()
        reader = Ended(temporal, settings.approvals_queue, timedelta(seconds=1))
        view = (await reader.read(description)).view
        assert (view.status, view.complete, view.requested_at) == (
            *("withdrawn", True),
            ends.requested_at,
        )
        said = [(one.kind, one.reason) for one in view.events]
        assert ("approved", "Fine by me") in said
        assert said[-1] == ("withdrawn", "by hand")

        monkeypatch.setattr(resuming.State, "received", received)
        await approvals.approve(waits.id, reviewer=ADA)
        assert (await approvals.wait(waits.id)).approved


@pytest.mark.usefixtures("_soon", "worker_running")
async def test_a_request_that_the_server_would_start_again_stays_in_its_execution_and_is_decided(
    approvals: ApprovalClient, temporal: Client, settings: Settings
) -> None:
    asked = await temporal.start_workflow(
        "ApprovalWorkflow",
        WIRE.model_dump(mode="json"),
        id=unique("again"),
        task_queue=settings.approvals_queue,
        retry_policy=RetryPolicy(maximum_attempts=3),
    )
    await approvals.approve(asked.id, reviewer=GRACE)
    await flood(approvals, asked.id, 12)
    await approvals.approve(asked.id, reviewer=ADA)

    assert (await approvals.wait(asked.id)).approved
    assert await executions(temporal, asked.id) == 0
