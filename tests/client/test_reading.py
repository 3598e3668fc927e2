"""What a reading adds to the record: how Temporal ended a request, that its action has run."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from clearance import (
        AlreadyDecided,
        ApprovalClient,
        ApprovalView,
        Event,
        Execution,
        contract,
        request_approval,
    )
    from cli.settings import Settings
    from tests.conftest import Serve
    from tests.parents import Asks
    from tests.parents import start as start_parent
    from tests.raw import ask
    from tests.support import eventually, unique

ADA = "ada@example.com"
RAN = datetime(2026, 11, 21, 10, tzinfo=UTC)


@workflow.defn
class Tells:
    """Asks once, and says of its approval whatever it was started with."""

    @workflow.init
    def __init__(self, said: Any, queue: str) -> None:
        self._said = said

    @workflow.run
    async def run(self, said: Any, queue: str) -> None:
        await request_approval("Deploy?", task_queue=queue)

    @workflow.query(name=contract.QUERY_EXECUTION)
    def execution(self, approval_id: str) -> Any:
        assert approval_id == contract.child_id(workflow.info().workflow_id, 1)
        return self._said


@pytest.fixture
async def parents(temporal: Client) -> AsyncIterator[str]:
    """A queue whose worker runs them."""
    queue = unique("parents")
    async with Worker(temporal, task_queue=queue, workflows=[Tells, Asks]):
        yield queue


async def approved(approvals: ApprovalClient, parent: WorkflowHandle[Any, Any]) -> str:
    """Approve what a parent asks; its id."""
    approval_id = contract.child_id(parent.id, 1)

    async def is_asked() -> bool:
        return approval_id in [one.id async for one in approvals.pending()]

    await eventually(is_asked)
    await approvals.approve(approval_id, reviewer=ADA)
    await parent.result()
    return approval_id


def plain(failed: bool) -> dict[str, Any]:
    return Execution(approval_id="x", at=RAN, failed=failed).model_dump(mode="json")


@pytest.mark.parametrize(("failed", "reason"), [(False, ""), (True, "it failed")])
@pytest.mark.usefixtures("worker_running")
async def test_that_the_action_has_run_is_the_last_line_of_the_record(
    temporal: Client,
    settings: Settings,
    approvals: ApprovalClient,
    parents: str,
    failed: bool,
    reason: str,
) -> None:
    parent = await start_parent(temporal, Tells, parents, plain(failed), settings.approvals_queue)

    view = await approvals.get(await approved(approvals, parent))

    assert [one.kind for one in view.events] == ["created", "approved", "executed"]
    last = view.events[-1]
    assert (last.sequence, last.at, last.channel, last.reason) == (3, RAN, "engine", reason)
    assert (last.digest, last.who) == (view.digest, None)


@pytest.mark.parametrize("said", [None, "yes", {"at": "no time"}, [1]])
@pytest.mark.usefixtures("worker_running")
async def test_a_run_that_says_nothing_of_it_adds_nothing(
    temporal: Client, settings: Settings, approvals: ApprovalClient, parents: str, said: Any
) -> None:
    parent = await start_parent(temporal, Tells, parents, said, settings.approvals_queue)

    view = await approvals.get(await approved(approvals, parent))

    assert [one.kind for one in view.events] == ["created", "approved"]


@pytest.mark.usefixtures("worker_running")
async def test_a_parent_that_knows_no_such_question_adds_nothing(
    temporal: Client, settings: Settings, approvals: ApprovalClient, parents: str
) -> None:
    parent = await start_parent(temporal, Asks, parents, ["Deploy?"], settings.approvals_queue)

    view = await approvals.get(await approved(approvals, parent))

    assert [one.kind for one in view.events] == ["created", "approved"]


@pytest.mark.usefixtures("worker_running")
async def test_what_ended_with_its_run_says_so(
    temporal: Client, settings: Settings, approvals: ApprovalClient, parents: str
) -> None:
    parent = await start_parent(temporal, Tells, parents, None, settings.approvals_queue)
    approval_id = contract.child_id(parent.id, 1)

    async def is_taken() -> bool:
        listed = approval_id in [one.id async for one in approvals.pending()]
        return listed and (await approvals.get(approval_id)).complete

    await eventually(is_taken)
    await parent.terminate()
    outcome = await approvals.wait(approval_id)
    view = await approvals.get(approval_id)

    said = "the run that asked for it has ended"
    assert (outcome.status, outcome.reason) == ("withdrawn", said)
    assert (view.status, view.explanation) == ("withdrawn", said)
    assert told(view.events) == [("created", ""), ("withdrawn", said)]


@pytest.mark.parametrize("reason", [None, "asked by mistake"])
async def test_what_was_terminated_by_hand_says_why_with_and_without_a_worker(
    approvals: ApprovalClient, serve: Serve, reason: str | None
) -> None:
    async with serve():
        asked = await approvals.request("Deploy?")
        assert (await approvals.get(asked.id)).complete
        await approvals.temporal.get_workflow_handle(asked.id).terminate(reason=reason)
        view = await approvals.get(asked.id)
    stored = await approvals.get(asked.id)

    assert told(view.events) == [("created", ""), ("withdrawn", reason or "")]
    assert (view.status, view.explanation) == ("withdrawn", reason or "")
    assert (stored.status, stored.explanation) == ("withdrawn", reason or "")


async def test_what_temporal_ended_before_the_decision_was_taken_is_withdrawn_for_every_reader(
    approvals: ApprovalClient, serve: Serve
) -> None:
    handle = await ask(approvals, "Deploy?")
    async with serve():
        assert (await approvals.get(handle.id)).complete
    how = {"reviewer": ADA, "decision_id": "d-1"}
    assert not (await approvals.approve(handle.id, **how)).in_effect
    await handle.terminate(reason="asked by mistake")

    async with serve():
        replayed = await handle.query(contract.QUERY_VIEW, result_type=ApprovalView)
        assert replayed.status == "approved"  # which no task has ever said
        view = await approvals.get(handle.id)
        with pytest.raises(AlreadyDecided) as refused:
            await approvals.approve(handle.id, **how)

    assert (view.status, view.decision, view.explanation) == ("withdrawn", None, "asked by mistake")
    assert told(view.events)[1:] == [("approved", ""), ("withdrawn", "asked by mistake")]
    assert [one.status for one in view.stages] == ["ended"]
    assert refused.value.status == "withdrawn"
    assert (await approvals.summary(handle.id)).status == "withdrawn"
    assert (await approvals.wait(handle.id)).status == "withdrawn"
    assert not (await approvals.get(handle.id)).complete  # and without a worker
    assert (await approvals.get(handle.id)).status == "withdrawn"


def told(events: list[Event]) -> list[tuple[str, str]]:
    return [(one.kind, one.reason) for one in events]
