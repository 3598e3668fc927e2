"""What a reading adds to the record: how Temporal ended a request, that its action has run."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

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
    worker = Worker(
        temporal,
        task_queue=queue,
        workflows=[Tells, Asks],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        yield queue


async def approved(approvals: ApprovalClient, parent: WorkflowHandle[Any, Any]) -> ApprovalView:
    """Approve what a parent asks; its record when the parent has ended."""
    approval_id = contract.child_id(parent.id, 1)
    handle = approvals.temporal.get_workflow_handle(approval_id)

    async def is_asked() -> bool:
        with contextlib.suppress(RPCError):  # not yet
            await handle.describe()
            return True
        return False

    await eventually(is_asked)
    await approvals.approve(approval_id, reviewer=ADA)
    await parent.result()
    return await approvals.get(approval_id)


def plain(failed: bool) -> dict[str, Any]:
    return Execution(approval_id="x", at=RAN, failed=failed).model_dump(mode="json")


@pytest.mark.usefixtures("worker_running")
async def test_that_the_action_has_run_is_the_last_line_of_the_record(
    temporal: Client, settings: Settings, approvals: ApprovalClient, parents: str
) -> None:
    async def view(failed: bool) -> ApprovalView:
        how = (Tells, parents, plain(failed), settings.approvals_queue)
        return await approved(approvals, await start_parent(temporal, *how))

    views = await asyncio.gather(view(False), view(True))

    for found, reason in zip(views, ("", "it failed"), strict=True):
        assert [one.kind for one in found.events] == ["created", "approved", "executed"]
        last = found.events[-1]
        assert (last.sequence, last.at, last.channel, last.reason) == (3, RAN, "engine", reason)
        assert (last.digest, last.who) == (found.digest, None)


@pytest.mark.usefixtures("worker_running")
async def test_a_run_that_says_nothing_of_it_or_knows_no_such_question_adds_nothing(
    temporal: Client, settings: Settings, approvals: ApprovalClient, parents: str
) -> None:
    says: list[Any] = [None, "yes", {"at": "no time"}, [1]]
    kinds = [(Tells, said) for said in says] + [(Asks, ["Deploy?"])]

    async def view(kind: type[Any], said: Any) -> ApprovalView:
        how = (kind, parents, said, settings.approvals_queue)
        return await approved(approvals, await start_parent(temporal, *how))

    for found in await asyncio.gather(*(view(*one) for one in kinds)):
        assert [one.kind for one in found.events] == ["created", "approved"]


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


async def test_what_was_terminated_by_hand_says_why_with_and_without_a_worker(
    approvals: ApprovalClient, serve: Serve
) -> None:
    reasons = (None, "asked by mistake")
    async with serve():
        ids = [(await approvals.request("Deploy?")).id for _ in reasons]
        for id, reason in zip(ids, reasons, strict=True):
            assert (await approvals.get(id)).complete
            await approvals.temporal.get_workflow_handle(id).terminate(reason=reason)
        views = [await approvals.get(id) for id in ids]

    for id, reason, view in zip(ids, reasons, views, strict=True):
        stored = await approvals.get(id)
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
