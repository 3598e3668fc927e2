"""Days in milliseconds: the server's own clock is moved, nothing is faked."""

from datetime import timedelta

import pytest
from temporalio.testing import WorkflowEnvironment

from clearance import ApprovalClient, ApprovalRequest, Outcome

from . import parents
from .raw import Handle
from .support import eventually, unique

NINE_DAYS = timedelta(days=9)


@pytest.fixture
def approvals(over_time: ApprovalClient) -> ApprovalClient:
    """A client on a queue of this test's own, which a worker serves."""
    return over_time


async def asked(
    environment: WorkflowEnvironment, approvals: ApprovalClient, request: ApprovalRequest
) -> Handle:
    with environment.with_time_skipping_disabled():
        summary = await approvals.request(request)
    return environment.client.get_workflow_handle(summary.id)


async def test_after_nine_days_the_wait_is_still_there_and_is_decided(
    environment: WorkflowEnvironment, approvals: ApprovalClient
) -> None:
    handle = await asked(environment, approvals, ApprovalRequest(action="Deploy?", expires_in=None))
    before = await environment.get_current_time(handle)

    await environment.fast_forward(handle, NINE_DAYS)

    assert await environment.get_current_time(handle) - before >= NINE_DAYS
    view = await approvals.get(handle.id)
    assert (view.status, view.deadline, view.complete) == ("pending", None, True)
    receipt = await approvals.approve(handle.id, reviewer="ada@example.com")
    assert receipt.recorded_at is not None
    assert receipt.recorded_at - view.requested_at >= NINE_DAYS
    assert (await approvals.wait(handle.id)).approved


async def test_a_request_expires_after_seven_days_unless_told_otherwise(
    environment: WorkflowEnvironment, approvals: ApprovalClient
) -> None:
    handle = await asked(environment, approvals, ApprovalRequest(action="Deploy?"))

    await environment.fast_forward(handle, timedelta(days=6, hours=23))
    assert (await approvals.get(handle.id)).status == "pending"
    await environment.fast_forward(handle, timedelta(hours=2))

    assert (await approvals.wait(handle.id, timedelta(seconds=30))).status == "expired"
    view = await approvals.get(handle.id)
    assert view.deadline == view.requested_at + timedelta(days=7)
    assert timedelta(0) <= view.events[-1].at - view.deadline < timedelta(minutes=1)


async def test_a_parent_waits_nine_days_with_its_request(
    environment: WorkflowEnvironment, approvals: ApprovalClient
) -> None:
    queue = unique("parents")
    async with parents.worker_for(environment.client, queue):
        with environment.with_time_skipping_disabled():
            parent = await parents.start(
                environment.client, parents.AsksForEver, queue, approvals._queue
            )
        id = f"{parent.id}.1"
        await eventually(lambda: waits(approvals, id))
        waited_since = (await approvals.get(id)).requested_at

        # Only the child's clock: the server skips no time of a workflow that has a child running.
        await environment.fast_forward(environment.client.get_workflow_handle(id), NINE_DAYS)

        assert (await approvals.get(id)).status == "pending"
        [waiting] = await parent.query("pending_approvals")
        assert waiting["id"] == id
        await approvals.approve(id, reviewer="ada@example.com")
        outcome = Outcome.model_validate(await parent.result())
        assert outcome.decision is not None
        assert outcome.approved
        assert outcome.decision.at - waited_since >= NINE_DAYS


async def waits(approvals: ApprovalClient, id: str) -> bool:
    return id in [one.id async for one in approvals.pending()]
